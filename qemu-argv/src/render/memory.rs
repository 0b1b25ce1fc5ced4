//! `-m`, the memory backend object and `-overcommit`.

use std::borrow::Cow;

use crate::config::{Memory, MemoryBackend, MemoryLock, Size};
use crate::draft::Draft;
use crate::error::At;
use crate::target::Arch;
use crate::value::Props;

/// The object that holds guest memory when there is one.
const BACKEND_ID: &str = "ram0";

pub(super) fn memory(draft: &mut Draft<'_>) {
    let root = At::ROOT;
    let at = root.field("memory");
    let memory = &draft.config.memory;
    if memory.size < Size::mib(1) {
        let why = "is less than a MiB; a number without unit counts bytes, so write \"512MiB\" or the like";
        draft.invalid(at.field("size"), &memory.size.to_string(), why);
    }
    if draft.target.arch == Arch::Loongarch64 && memory.size <= Size::gib(1) {
        draft.needs(at.field("size"), "a loongarch64 machine of 1 GiB or less", 10, 0);
    }
    let mut props = Props::new().with("size", kib(draft, at.field("size"), memory.size));
    if let Some(max) = memory.max {
        if max < memory.size {
            draft.conflict(at.field("max"), format!("{max} is less than the {} at boot", memory.size));
        }
        props.set("slots", memory.slots.unwrap_or(8));
        props.set("maxmem", kib(draft, at.field("max"), max));
    } else if memory.slots.is_some() {
        draft.conflict(at.field("slots"), "slots for hotplug need `memory.max`");
    }
    draft.option(at, "-m", props);
    backend(draft, at, memory);
    match memory.lock {
        MemoryLock::Off => {}
        MemoryLock::On => draft.option(at, "-overcommit", Props::new().with("mem-lock", true)),
        MemoryLock::OnFault => {
            draft.needs(at.field("lock"), "memory locked on fault", 10, 0);
            draft.option(at, "-overcommit", Props::new().with("mem-lock", "on-fault"));
        }
    }
}

/// A size for `-m`, whose numbers without a unit are MiB.
fn kib(draft: &mut Draft<'_>, at: At<'_>, size: Size) -> String {
    let bytes = size.to_bytes();
    if !bytes.is_multiple_of(8192) {
        draft.invalid(at, &size.to_string(), "is no multiple of 8 KiB");
    }
    if bytes.is_multiple_of(1 << 20) { format!("{}M", bytes >> 20) } else { format!("{}k", bytes >> 10) }
}

fn backend(draft: &mut Draft<'_>, at: At<'_>, memory: &Memory) {
    if draft.shared_memory && memory.share == Some(false) {
        draft.conflict(at.field("share"), "a chosen device needs memory that its helper process can see");
    }
    let plain = !shared(draft) && !memory.prealloc && memory.merge.is_none();
    if draft.config.numa.is_empty() && !(memory.backend == MemoryBackend::Default && plain) {
        object(draft, at, BACKEND_ID, memory.size, Props::new());
        draft.machine.set("memory-backend", BACKEND_ID);
    }
}

fn shared(draft: &Draft<'_>) -> bool {
    draft.config.memory.share.unwrap_or(draft.shared_memory)
}

/// Adds an object of the configured kind with that much memory.
pub(super) fn object(draft: &mut Draft<'_>, at: At<'_>, id: &str, size: Size, extra: Props) {
    let memory = &draft.config.memory;
    let share = shared(draft);
    let root = At::ROOT;
    let memory_at = root.field("memory");
    let at_backend = memory_at.field("backend");
    let (kind, mut props) = match &memory.backend {
        MemoryBackend::Default if share => ("memory-backend-memfd", Props::new()),
        MemoryBackend::Default | MemoryBackend::Ram => ("memory-backend-ram", Props::new()),
        MemoryBackend::File { path, discard_data, pmem } => {
            // Several objects in one file would be the same memory. Behind a slash only a directory is accepted, in
            // which each gets a file of its own.
            let many = draft.config.numa.len() > 1;
            let path = if many { Cow::Owned(path.join("")) } else { Cow::Borrowed(path) };
            let path = draft.path(at_backend.field("path"), &path);
            let props = Props::new()
                .with("mem-path", path)
                .with_some("discard-data", discard_data.then_some(true))
                .with_some("pmem", pmem.then_some(true));
            ("memory-backend-file", props)
        }
        MemoryBackend::Memfd { huge_pages } => {
            if huge_pages.is_some_and(|size| !size.to_bytes().is_power_of_two()) {
                draft.conflict(at_backend.field("huge_pages"), "the size of a huge page is a power of two");
            }
            let props = Props::new()
                .with_some("hugetlb", huge_pages.map(|_| true))
                .with_some("hugetlbsize", huge_pages.map(Size::to_bytes));
            ("memory-backend-memfd", props)
        }
    };
    props.set("size", size.to_bytes());
    props.set("share", share);
    if memory.prealloc {
        props.set("prealloc", true);
    }
    props = props.with_some("merge", memory.merge);
    props.extend(extra);
    draft.object(at, kind, id, props);
}
