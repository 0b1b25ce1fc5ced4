//! The virtio random number generator and its source.

use crate::config::{RandomSource, RngSource, Size, VmConfig};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::topology::{Connector, PciRequest};
use crate::value::Props;

pub(super) fn rng(builder: &mut Builder<'_>, config: &VmConfig) {
    let Some(rng) = &config.rng else { return };
    let at = At::section("rng");
    match &rng.source {
        RngSource::Builtin => builder.object(at, "rng-builtin", "rng0-source", Props::new()),
        RngSource::Random(RandomSource { path }) => {
            let source = at.field("source");
            let path = builder.path(source.field("path"), path);
            builder.object(at, "rng-random", "rng0-source", Props::new().with("filename", path));
        }
    }
    if rng.period_ms.is_some() && rng.max_bytes.is_none() {
        builder.conflict(at.field("period_ms"), "`period_ms` requires `max_bytes`");
    }
    let mut props = Props::new()
        .with("rng", "rng0-source")
        .with_some("max-bytes", rng.max_bytes.map(Size::to_bytes))
        .with_some("period", rng.period_ms.or(rng.max_bytes.map(|_| 65536)));
    let properties_at = at.field("properties");
    builder.check_keys(properties_at, &rng.properties);
    props.extend(rng.properties.clone());
    let mut pci = PciRequest::express();
    pci.address.clone_from(&rng.address);
    let driver = builder.board.virtio("virtio-rng", &pci);
    builder.device(at, driver, "rng0", props, Connector::Virtio(pci));
}
