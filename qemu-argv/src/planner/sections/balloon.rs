//! The virtio balloon.

use crate::config::VmConfig;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::topology::{Connector, PciRequest};
use crate::value::Props;

pub(super) fn balloon(builder: &mut Builder<'_>, config: &VmConfig) {
    let Some(balloon) = &config.balloon else { return };
    let at = At::section("balloon");
    let mut props = Props::new()
        .with_some("deflate-on-oom", balloon.deflate_on_oom.then_some(true))
        .with_some("free-page-reporting", balloon.free_page_reporting.then_some(true))
        .with_some("guest-stats-polling-interval", balloon.stats_s);
    let properties_at = at.field("properties");
    builder.check_keys(properties_at, &balloon.properties);
    props.extend(balloon.properties.clone());
    let mut pci = PciRequest::express();
    pci.address.clone_from(&balloon.address);
    let driver = builder.board.virtio("virtio-balloon", &pci);
    builder.device(at, driver, "balloon0", props, Connector::Virtio(pci));
}
