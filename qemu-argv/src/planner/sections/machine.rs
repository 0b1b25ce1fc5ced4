//! `-machine` and `-accel`.

use std::fmt::Write as _;

use crate::config::{KernelIrqchip, TcgThreads, VirtioBus, VmConfig};
use crate::plan::{CliOption, OptionValue};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::qemu_target::Accelerator;
use crate::value::{Props, Value};

pub(super) fn machine(builder: &mut Builder<'_>, config: &VmConfig) {
    let at = At::section("machine");
    let machine = &config.machine;
    let kind = builder.board.kind.clone();
    if kind.is_empty() || matches!(kind.as_str(), "help" | "?") {
        builder.invalid(at.field("type"), &kind, "is not a valid machine type");
    }
    if machine.virtio == Some(VirtioBus::Mmio) && builder.board.machine.virtio_mmio_buses() == 0 {
        builder.not_here(at.field("virtio"), "a memory-mapped slot for virtio", "");
    }
    if machine.virtio == Some(VirtioBus::Pci) && builder.board.is_without_pci() {
        builder.not_here(at.field("virtio"), "PCI", "");
    }
    if machine.smm == Some(true) && !builder.board.is_pc() {
        builder.not_here(at.field("smm"), "System Management Mode", "; it requires q35 or pc");
    }
    let mut props = Props::new()
        .with("type", kind)
        .with_some("usb", machine.usb)
        .with("dump-guest-core", machine.dump_guest_core)
        .with_some("smm", machine.smm)
        .with_some("acpi", machine.acpi)
        .with_some("vmport", machine.vmport)
        .with_some("hpet", machine.hpet)
        .with_some("gic-version", machine.gic_version.as_ref())
        .with_some("virtualization", machine.virtualization)
        .with_some("secure", machine.secure);
    props.extend(builder.machine.clone());
    let options_at = at.field("options");
    builder.check_keys(options_at, &machine.options);
    props.extend(machine.options.clone());
    builder.option(at, "-machine", props);

    let accel = builder.accel;
    let mut words = accel.qemu_name().to_owned();
    if let Some(cache) = machine.tcg_cache {
        let mib = cache.to_bytes() >> 20;
        if accel.is_hardware() || mib == 0 {
            builder.conflict(
                at.field("tcg_cache"),
                "the translation cache is only supported by TCG, with at least 1 MiB",
            );
        }
        // Writing to a String cannot fail.
        let _ = write!(words, ",tb-size={mib}");
    }
    accel_options(builder, at, config, &mut words);
    builder.options.push(CliOption { name: "-accel".into(), value: OptionValue::Plain(words.into()) });
    // Both are told first, where a reader looks for them.
    builder.options.rotate_right(2);
}

/// What the accelerator is told besides its name.
fn accel_options(builder: &mut Builder<'_>, at: At<'_>, config: &VmConfig, words: &mut String) {
    let machine = &config.machine;
    let accel = builder.accel;
    if accel.is_hardware() && (machine.tcg_threads.is_some() || machine.tcg_split_wx.is_some()) {
        builder.conflict(
            at,
            format!("`tcg_threads` and `tcg_split_wx` are only supported by TCG, not by {accel}"),
        );
    }
    let on = |on: bool| if on { "on" } else { "off" };
    let threads = machine.tcg_threads.map(|threads| match threads {
        TcgThreads::Single => "single",
        TcgThreads::Multi => "multi",
    });
    let irqchip = machine.kernel_irqchip.map(|irqchip| match irqchip {
        KernelIrqchip::On => "on",
        KernelIrqchip::Off => "off",
        KernelIrqchip::Split => "split",
    });
    if irqchip == Some("split") && !builder.board.is_x86() {
        builder.not_here(at.field("kernel_irqchip"), "a split interrupt controller", "");
    }
    if let Some(size) = machine.dirty_ring_size
        && !(size.is_power_of_two() && (1024..=65536).contains(&size))
    {
        let why = "is not a valid ring size; expected a power of two from 1024 to 65536";
        builder.invalid(at.field("dirty_ring_size"), &size.to_string(), why);
    }
    let of_kvm = accel == Accelerator::Kvm;
    let typed = [
        ("thread", threads.map(str::to_owned)),
        ("split-wx", machine.tcg_split_wx.map(|split| on(split).to_owned())),
        ("kernel-irqchip", irqchip.filter(|_| of_kvm).map(str::to_owned)),
        ("dirty-ring-size", machine.dirty_ring_size.filter(|_| of_kvm).map(|size| size.to_string())),
    ];
    for (key, value) in typed {
        if let Some(value) = value {
            // Writing to a String cannot fail.
            let _ = write!(words, ",{key}={value}");
        }
    }
    let options_at = at.field("accel_options");
    builder.check_keys(options_at, &machine.accel_options);
    for (key, value) in machine.accel_options.iter() {
        let value = match value {
            Value::Bool(value) => on(*value).to_owned(),
            Value::Int(number) => number.to_string(),
            Value::Uint(number) => number.to_string(),
            Value::Str(word) if !word.is_empty() && !word.contains(',') && !word.contains('\0') => {
                word.to_string()
            }
            _ => {
                builder.conflict(options_at.field(key), "expected true, false, a number or a word");
                continue;
            }
        };
        let _ = write!(words, ",{key}={value}");
    }
    builder.check_length(options_at, words.len());
}
