//! The virtio random number generator and its source.

use crate::config::{RngSource, Size};
use crate::draft::Draft;
use crate::error::At;
use crate::plan::topology::{Connector, PciRequest};
use crate::value::Props;

pub(super) fn rng(draft: &mut Draft<'_>) {
    let Some(rng) = &draft.config.rng else { return };
    let root = At::ROOT;
    let at = root.field("rng");
    match &rng.source {
        RngSource::Builtin => draft.object(at, "rng-builtin", "rng0-source", Props::new()),
        RngSource::Random { path } => {
            let source = at.field("source");
            let path = draft.path(source.field("path"), path);
            draft.object(at, "rng-random", "rng0-source", Props::new().with("filename", path));
        }
    }
    if rng.period_ms.is_some() && rng.max_bytes.is_none() {
        draft.conflict(at.field("period_ms"), "a period needs `max_bytes`");
    }
    let props = Props::new()
        .with("rng", "rng0-source")
        .with_some("max-bytes", rng.max_bytes.map(Size::to_bytes))
        .with_some("period", rng.period_ms.or(rng.max_bytes.map(|_| 65536)));
    let mut pci = PciRequest::express();
    pci.address.clone_from(&rng.address);
    draft.device(at, draft.board.virtio("virtio-rng"), "rng0", props, Connector::Virtio(pci));
}
