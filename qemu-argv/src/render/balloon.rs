//! The virtio balloon.

use crate::draft::Draft;
use crate::error::At;
use crate::plan::topology::{Connector, PciRequest};
use crate::value::Props;

pub(super) fn balloon(draft: &mut Draft<'_>) {
    let Some(balloon) = &draft.config.balloon else { return };
    let root = At::ROOT;
    let props = Props::new()
        .with_some("deflate-on-oom", balloon.deflate_on_oom.then_some(true))
        .with_some("free-page-reporting", balloon.free_page_reporting.then_some(true))
        .with_some("guest-stats-polling-interval", balloon.stats_s);
    let mut pci = PciRequest::express();
    pci.address.clone_from(&balloon.address);
    let driver = draft.board.virtio("virtio-balloon");
    draft.device(root.field("balloon"), driver, "balloon0", props, Connector::Virtio(pci));
}
