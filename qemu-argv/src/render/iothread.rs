//! Objects of the type `iothread`.

use crate::draft::Draft;
use crate::error::At;
use crate::value::Props;

pub(super) fn iothreads(draft: &mut Draft<'_>) {
    let root = At::ROOT;
    for (index, thread) in draft.config.iothreads.iter().enumerate() {
        let at = root.item("iothreads", index);
        draft.check_id(at.field("id"), &thread.id);
        let props = Props::new()
            .with_some("poll-max-ns", thread.poll_max_ns)
            .with_some("thread-pool-min", thread.pool_min)
            .with_some("thread-pool-max", thread.pool_max);
        draft.object(at, "iothread", &thread.id, props);
    }
}
