//! Objects of the type `iothread`.

use crate::config::VmConfig;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::Props;

pub(super) fn iothreads(builder: &mut Builder<'_>, config: &VmConfig) {
    for (index, thread) in config.iothreads.iter().enumerate() {
        let at = At::entry("iothreads", index);
        builder.check_id(at.field("id"), &thread.id);
        let props = Props::new()
            .with_some("poll-max-ns", thread.poll_max_ns)
            .with_some("thread-pool-min", thread.pool_min)
            .with_some("thread-pool-max", thread.pool_max);
        builder.object(at, "iothread", &thread.id, props);
    }
}
