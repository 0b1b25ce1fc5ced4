//! The virtio balloon.

use crate::config::VmConfig;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::topology::{Connector, PciRequest};
use crate::value::Props;

pub(super) fn balloon(builder: &mut Builder<'_>, config: &VmConfig) {
    let Some(balloon) = &config.balloon else { return };
    let props = Props::new()
        .with_some("deflate-on-oom", balloon.deflate_on_oom.then_some(true))
        .with_some("free-page-reporting", balloon.free_page_reporting.then_some(true))
        .with_some("guest-stats-polling-interval", balloon.stats_s);
    let mut pci = PciRequest::express();
    pci.address.clone_from(&balloon.address);
    let driver = builder.board.virtio("virtio-balloon", &pci);
    builder.device(At::section("balloon"), driver, "balloon0", props, Connector::Virtio(pci));
}
