//! What a config leaves to the launcher, besides firmware.

use qemu_argv::{Arch, Pvpanic, Target, VmConfig};

/// The device by which the guest tells that it panicked, where the board has a bus for it and the config says nothing: without
/// it, a guest that has panicked looks like one that works.
pub(super) fn pvpanic(config: &VmConfig, machine: &str, target: &Target) -> Option<Pvpanic> {
    if config.pvpanic.is_some() || brings_its_own(config) {
        return config.pvpanic;
    }
    let is = |kind: &str| machine == kind || machine.starts_with(&format!("{kind}-"));
    let (kind, driver) = match target.arch {
        Arch::X86_64 | Arch::I386 if is("q35") || is("pc") || is("pc-q35") || is("pc-i440fx") => {
            (Pvpanic::Isa, "pvpanic")
        }
        Arch::Aarch64 | Arch::Arm | Arch::Riscv64 | Arch::Riscv32 | Arch::Loongarch64 if is("virt") => {
            (Pvpanic::Pci, "pvpanic-pci")
        }
        _ => return None,
    };
    let is_built = target.devices.as_ref().is_some_and(|devices| devices.contains(driver));
    is_built.then_some(kind)
}

/// Whether the config adds such a device in another way: a second one is refused by QEMU.
fn brings_its_own(config: &VmConfig) -> bool {
    let names_it = |text: &String| text.contains("pvpanic") || text == "-readconfig";
    config.extra_args.iter().any(names_it)
        || config.devices.iter().any(|device| device.driver.starts_with("pvpanic"))
}
