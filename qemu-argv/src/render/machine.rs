//! `-machine` and `-accel`.

use std::fmt::Write as _;

use crate::draft::Draft;
use crate::error::At;
use crate::parts::{CliOption, OptionValue};
use crate::value::Props;

pub(super) fn machine(draft: &mut Draft<'_>) {
    let root = At::ROOT;
    let at = root.field("machine");
    let machine = &draft.config.machine;
    let kind = draft.board.kind.clone();
    if kind.is_empty() || matches!(kind.as_str(), "help" | "?") {
        draft.invalid(at.field("type"), &kind, "is no machine type");
    }
    if machine.smm == Some(true) && !draft.board.is_pc() {
        draft.not_here(at.field("smm"), "System Management Mode", "; it is for q35 and pc");
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
    if machine.hpet.is_some() && draft.before(8, 0) {
        // Until then a switch of its own, and only for switching it off, said it.
        draft.needs(at.field("hpet"), "`hpet` as a property of the machine", 8, 0);
    }
    props.extend(draft.machine.clone());
    let options_at = at.field("options");
    draft.check_keys(options_at, &machine.options);
    props.extend(machine.options.clone());
    draft.option(at, "-machine", props);

    let accel = draft.accel();
    let mut words = accel.qemu_name().to_owned();
    if let Some(cache) = machine.tcg_cache {
        let mib = cache.to_bytes() >> 20;
        if accel.is_hardware() || mib == 0 {
            draft.conflict(
                at.field("tcg_cache"),
                "only TCG has a cache of translated code, of at least 1 MiB",
            );
        }
        // Writing to a String cannot fail.
        let _ = write!(words, ",tb-size={mib}");
    }
    draft.options.push(CliOption { name: "-accel".into(), value: OptionValue::Plain(words.into()) });
    // Both are told first, where a reader looks for them.
    draft.options.rotate_right(2);
}
