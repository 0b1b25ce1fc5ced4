//! Watchdogs.

use crate::config::WatchdogModel;
use crate::draft::Draft;
use crate::error::At;
use crate::plan::topology::{Connector, Family, PciRequest};
use crate::value::Props;

pub(super) fn watchdog(draft: &mut Draft<'_>) {
    let Some(watchdog) = &draft.config.watchdog else { return };
    let root = At::ROOT;
    let at = root.field("watchdog");
    match watchdog.model {
        WatchdogModel::I6300esb => {
            let connector = Connector::Pci(PciRequest::conventional());
            draft.device(at, "i6300esb", "watchdog0", Props::new(), connector);
        }
        WatchdogModel::Ib700 => {
            if !draft.board.is_pc() {
                draft.not_here(at.field("model"), "ib700", ", which has no ISA bus");
            }
            draft.fixed_device(at, "ib700", "watchdog0", Props::new());
        }
        WatchdogModel::Itco => {
            if draft.board.family() != Family::Q35 {
                draft.not_here(at.field("model"), "itco", "; it is for q35");
            }
            // The board has it always; this lets it reset the machine.
            let props =
                Props::new().with("driver", "ICH9-LPC").with("property", "noreboot").with("value", "off");
            draft.option(at, "-global", props);
        }
        WatchdogModel::Diag288 => {
            if draft.board.family() != Family::S390Ccw {
                draft.not_here(at.field("model"), "diag288", "; it is for s390x");
            }
            draft.fixed_device(at, "diag288", "watchdog0", Props::new());
        }
    }
}
