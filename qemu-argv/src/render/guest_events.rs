//! `pvpanic`, `vmgenid` and `isa-debug-exit`.

use crate::config::Pvpanic;
use crate::draft::Draft;
use crate::error::At;
use crate::plan::topology::{Connector, PciRequest};
use crate::render::vm;
use crate::value::Props;

pub(super) fn pvpanic(draft: &mut Draft<'_>) {
    let root = At::ROOT;
    let at = root.field("pvpanic");
    match draft.config.pvpanic {
        None => {}
        Some(Pvpanic::Isa) => {
            if !draft.board.is_pc() {
                draft.not_here(at, "an ISA bus", "; choose \"pci\"");
            }
            draft.fixed_device(at, "pvpanic", "pvpanic0", Props::new());
        }
        Some(Pvpanic::Pci) => {
            let connector = Connector::Pci(PciRequest::conventional());
            draft.device(at, "pvpanic-pci", "pvpanic0", Props::new(), connector);
        }
    }
}

pub(super) fn vmgenid(draft: &mut Draft<'_>) {
    let Some(guid) = &draft.config.vmgenid else { return };
    let root = At::ROOT;
    let at = root.field("vmgenid");
    if guid != "auto" && !vm::is_uuid(guid) {
        draft.invalid(at, guid, "is no generation id: \"auto\" or a UUID");
    }
    if !draft.board.is_pc() {
        draft.not_here(at, "vmgenid", "; it is for q35 and pc");
    }
    draft.fixed_device(at, "vmgenid", "vmgenid0", Props::new().with("guid", guid));
}

pub(super) fn debug_exit(draft: &mut Draft<'_>) {
    let Some(exit) = draft.config.debug_exit else { return };
    let root = At::ROOT;
    let at = root.field("debug_exit");
    if !draft.board.is_pc() {
        draft.not_here(at, "isa-debug-exit", ", which has no ISA bus");
    }
    if !matches!(exit.size, 1 | 2 | 4) {
        draft.invalid(at.field("size"), &exit.size.to_string(), "is no number of ports: 1, 2 or 4");
    }
    let props = Props::new().with("iobase", exit.port).with("iosize", exit.size);
    draft.fixed_device(at, "isa-debug-exit", "debug-exit0", props);
}
