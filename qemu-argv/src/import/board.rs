//! The machine type, its accelerator, processors and memory.

use super::bag::{Why, as_size};
use super::line::Line;
use crate::config::{AccelChoice, Cpu, VmConfig};
use crate::qemu_target::Arch;

/// What an accelerator is called.
const ACCELS: [(&str, AccelChoice); 4] = [
    ("kvm", AccelChoice::Kvm),
    ("hvf", AccelChoice::Hvf),
    ("whpx", AccelChoice::Whpx),
    ("tcg", AccelChoice::Tcg),
];

pub(super) fn machine(line: &mut Line, config: &mut VmConfig, is_kvm: bool) {
    let (at, bag) = line.merged("machine").unwrap_or_default();
    let machine = &mut config.machine;
    let mut left = bag.clone();
    let mut read = || -> Result<Option<String>, Why> {
        machine.kind = left.text("type")?;
        machine.usb = left.flag("usb")?;
        machine.dump_guest_core = left.flag("dump-guest-core")?.unwrap_or_default();
        machine.smm = left.flag("smm").ok().flatten();
        machine.acpi = left.flag("acpi").ok().flatten();
        machine.vmport = left.flag("vmport").ok().flatten();
        machine.hpet = left.flag("hpet")?;
        machine.gic_version = left.text("gic-version")?;
        machine.virtualization = left.flag("virtualization")?;
        machine.secure = left.flag("secure")?;
        left.text("accel")
    };
    let accel = match read() {
        Ok(accel) => accel,
        Err(why) => {
            line.refuse(at, why);
            None
        }
    };
    // `auto` is what QEMU does without the word.
    for (key, unset) in [
        ("smm", machine.smm.is_none()),
        ("acpi", machine.acpi.is_none()),
        ("vmport", machine.vmport.is_none()),
    ] {
        if unset && bag.peek(key).is_some_and(|word| word != "auto") {
            line.remark(at, format!("{key} is neither on nor off; it is left to QEMU"));
        }
    }
    if line.switch("usb") {
        machine.usb = Some(true);
    }
    if line.switch("no-acpi") {
        machine.acpi = Some(false);
    }
    if line.switch("no-hpet") {
        machine.hpet = Some(false);
    }
    if machine.kind.is_none() && !line.planned {
        machine.kind = Some(default_machine(line.arch).to_owned());
    }
    line.machine = machine.kind.clone().unwrap_or_else(|| line.arch.default_machine().to_owned());
    machine.options = left.options();
    accelerator(line, config, accel.as_deref(), is_kvm);
}

/// QEMU's own default.
fn default_machine(arch: Arch) -> &'static str {
    match arch {
        Arch::X86_64 | Arch::I386 => "pc",
        Arch::Riscv64 | Arch::Riscv32 => "spike",
        other => other.default_machine(),
    }
}

fn accelerator(line: &mut Line, config: &mut VmConfig, of_machine: Option<&str>, is_kvm: bool) {
    let mut asked: Vec<String> =
        of_machine.iter().flat_map(|words| words.split(':')).map(str::to_owned).collect();
    if line.switch("enable-kvm") {
        asked.push("kvm".into());
    }
    for at in line.open("accel") {
        let mut bag = line.bag(at);
        line.typed(at);
        asked.extend(bag.text("accel").ok().flatten());
        let cache = bag.take("tb-size").and_then(|value| as_size(&value, 20));
        if cache.is_some() {
            config.machine.tcg_cache = cache;
        }
        let machine = &mut config.machine;
        machine.tcg_threads = bag.same_word("thread").ok().flatten().or(machine.tcg_threads);
        machine.tcg_split_wx = bag.flag("split-wx").ok().flatten().or(machine.tcg_split_wx);
        machine.kernel_irqchip = bag.same_word("kernel-irqchip").ok().flatten().or(machine.kernel_irqchip);
        machine.dirty_ring_size = bag.number("dirty-ring-size").ok().flatten().or(machine.dirty_ring_size);
        machine.accel_options.extend(bag.accel_options());
    }
    config.machine.accel = match asked.as_slice() {
        [] if is_kvm => AccelChoice::Kvm,
        [] => AccelChoice::Tcg,
        [only] => match ACCELS.iter().find(|(word, _)| word == only) {
            Some((_, accel)) => *accel,
            None => AccelChoice::Auto,
        },
        // The first that works, which is what the launcher tries too.
        _ => AccelChoice::Auto,
    };
    if config.machine.accel != AccelChoice::Tcg {
        config.machine.tcg_cache = None;
        config.machine.tcg_threads = None;
        config.machine.tcg_split_wx = None;
    }
}

pub(super) fn cpu(line: &mut Line, config: &mut VmConfig) {
    let cpu = &mut config.cpu;
    if let Some((_, text)) = line.last("cpu") {
        let read = Cpu::of_words(&text);
        (cpu.model, cpu.features) = (read.model, read.features);
    } else if !line.planned && line.machine != "none" {
        let usual = match line.arch {
            Arch::X86_64 => Some("qemu64"),
            Arch::I386 => Some("qemu32"),
            Arch::Aarch64 | Arch::Arm if line.is_virt() => Some("cortex-a15"),
            _ => None,
        };
        cpu.model = usual.map(str::to_owned);
    }
    let Some((at, mut bag)) = line.merged("smp") else { return };
    let mut read = || -> Result<(), Why> {
        let count = bag.number("cpus")?;
        cpu.max = bag.number("maxcpus")?;
        cpu.sockets = bag.number("sockets")?;
        cpu.dies = bag.number("dies")?;
        cpu.clusters = bag.number("clusters")?;
        cpu.cores = bag.number("cores")?;
        cpu.threads = bag.number("threads")?;
        // QEMU counts what the topology has room for.
        let levels = [cpu.sockets, cpu.dies, cpu.clusters, cpu.cores, cpu.threads];
        let room = levels.iter().flatten().fold(1_u32, |room, level| room.saturating_mul(*level));
        cpu.count = Some(count.or(cpu.max).unwrap_or(room));
        Ok(())
    };
    match read() {
        Ok(()) => {
            if let Err(why) = bag.done() {
                line.remark(at, format!("{why}; QEMU's default is used"));
            }
        }
        Err(why) => line.refuse(at, why),
    }
}
