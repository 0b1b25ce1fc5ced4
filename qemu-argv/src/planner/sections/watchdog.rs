//! Watchdogs.

use crate::config::{VmConfig, WatchdogModel};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::topology::{Connector, Family, PciRequest};
use crate::value::Props;

pub(super) fn watchdog(builder: &mut Builder<'_>, config: &VmConfig) {
    let Some(watchdog) = &config.watchdog else { return };
    let at = At::section("watchdog");
    match watchdog.model {
        WatchdogModel::I6300esb => {
            let connector = Connector::Pci(PciRequest::conventional());
            builder.device(at, "i6300esb", "watchdog0", Props::new(), connector);
        }
        WatchdogModel::Ib700 => {
            if !builder.board.has_isa() {
                builder.not_here(at.field("model"), "ib700", ", which has no ISA bus");
            }
            builder.fixed_device(at, "ib700", "watchdog0", Props::new());
        }
        WatchdogModel::Itco => {
            if builder.board.family() != Family::Q35 {
                builder.not_here(at.field("model"), "itco", "; it requires q35");
            }
            // The board has it always; this lets it reset the machine.
            let props =
                Props::new().with("driver", "ICH9-LPC").with("property", "noreboot").with("value", "off");
            builder.option(at, "-global", props);
        }
        WatchdogModel::Diag288 => {
            if builder.board.family() != Family::S390Ccw {
                builder.not_here(at.field("model"), "diag288", "; it is for s390x");
            }
            builder.fixed_device(at, "diag288", "watchdog0", Props::new());
        }
    }
}
