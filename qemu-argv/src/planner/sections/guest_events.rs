//! `pvpanic`, `vmgenid` and `isa-debug-exit`.

use crate::config::{Pvpanic, VmConfig};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::planner::sections::vm;
use crate::topology::{Connector, PciRequest};
use crate::value::Props;

pub(super) fn pvpanic(builder: &mut Builder<'_>, config: &VmConfig) {
    let at = At::section("pvpanic");
    match config.pvpanic {
        None | Some(Pvpanic::None) => {}
        Some(Pvpanic::Isa) => {
            if !builder.board.has_isa() {
                builder.not_here(at, "an ISA bus", "; choose \"pci\"");
            }
            builder.fixed_device(at, "pvpanic", "pvpanic0", Props::new());
        }
        Some(Pvpanic::Pci) => {
            let connector = Connector::Pci(PciRequest::conventional());
            builder.device(at, "pvpanic-pci", "pvpanic0", Props::new(), connector);
        }
    }
}

pub(super) fn vmgenid(builder: &mut Builder<'_>, config: &VmConfig) {
    let Some(guid) = &config.vmgenid else { return };
    let at = At::section("vmgenid");
    if guid != "auto" && !vm::is_uuid(guid) {
        builder.invalid(at, guid, "is not a valid generation id; expected \"auto\" or a UUID");
    }
    if !builder.board.is_pc() {
        builder.not_here(at, "vmgenid", "; it requires q35 or pc");
    }
    builder.fixed_device(at, "vmgenid", "vmgenid0", Props::new().with("guid", guid));
}

pub(super) fn debug_exit(builder: &mut Builder<'_>, config: &VmConfig) {
    let Some(exit) = config.debug_exit else { return };
    let at = At::section("debug_exit");
    if !builder.board.has_isa() {
        builder.not_here(at, "isa-debug-exit", ", which has no ISA bus");
    }
    if !matches!(exit.size, 1 | 2 | 4) {
        builder.invalid(
            at.field("size"),
            &exit.size.to_string(),
            "is not a valid number of ports; expected 1, 2 or 4",
        );
    }
    let props = Props::new().with("iobase", exit.port).with("iosize", exit.size);
    builder.fixed_device(at, "isa-debug-exit", "debug-exit0", props);
}
