//! `-machine` and `-accel`.

use std::fmt::Write as _;

use crate::config::{VirtioBus, VmConfig};
use crate::plan::{CliOption, OptionValue};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::Props;

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
    if machine.hpet.is_some() && builder.before(8, 0) {
        // Until then a switch of its own, and only for switching it off, said it.
        builder.needs(at.field("hpet"), "`hpet` as a property of the machine", 8, 0);
    }
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
    builder.options.push(CliOption { name: "-accel".into(), value: OptionValue::Plain(words.into()) });
    // Both are told first, where a reader looks for them.
    builder.options.rotate_right(2);
}
