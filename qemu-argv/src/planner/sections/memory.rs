//! `-m`, the memory backend object and `-overcommit`.

use std::borrow::Cow;

use crate::config::{FileMemory, MemfdMemory, Memory, MemoryBackend, MemoryLock, Size, VmConfig};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::qemu_target::Arch;
use crate::value::Props;

/// The object that holds guest memory when there is one.
const BACKEND_ID: &str = "ram0";

pub(super) fn memory(builder: &mut Builder<'_>, config: &VmConfig) {
    let at = At::section("memory");
    let memory = &config.memory;
    match size(builder, config) {
        Some(size) => {
            amount(builder, at, memory, size);
            backend(builder, at, config, size);
        }
        None => left_to_the_board(builder, at, memory),
    }
    match memory.lock {
        MemoryLock::Off => {}
        MemoryLock::On => builder.option(at, "-overcommit", Props::new().with("mem-lock", true)),
        MemoryLock::OnFault => {
            builder.needs(at.field("lock"), "memory locked on fault", 10, 0);
            builder.option(at, "-overcommit", Props::new().with("mem-lock", "on-fault"));
        }
    }
}

/// The size at boot. `None`: the board decides it.
pub(super) fn size(builder: &Builder<'_>, config: &VmConfig) -> Option<Size> {
    config.memory.size_on(builder.board.machine, builder.target.arch)
}

fn amount(builder: &mut Builder<'_>, at: At<'_>, memory: &Memory, size: Size) {
    // Boards of microcontrollers have as little as 16 KiB.
    if size < Size::mib(1) && !builder.board.decides_itself() || size < Size::kib(8) {
        builder.invalid(at.field("size"), &size.to_string(), "is too little memory for this machine type");
    }
    if builder.target.arch == Arch::Loongarch64 && size < Size::gib(1) {
        builder.needs(at.field("size"), "a loongarch64 machine of less than 1 GiB", 10, 0);
    }
    let mut props = Props::new().with("size", kib(builder, at.field("size"), size));
    if let Some(max) = memory.max {
        if max < size {
            builder.conflict(at.field("max"), format!("{max} is less than the {size} at boot"));
        }
        props.set("slots", memory.slots.unwrap_or(8));
        props.set("maxmem", kib(builder, at.field("max"), max));
    } else if memory.slots.is_some() {
        builder.conflict(at.field("slots"), "`slots` requires `memory.max`");
    }
    builder.option(at, "-m", props);
}

/// What cannot be said of memory whose size is not known.
fn left_to_the_board(builder: &mut Builder<'_>, at: At<'_>, memory: &Memory) {
    let special = memory.backend != MemoryBackend::Default
        || memory.share == Some(true)
        || builder.shared_memory
        || memory.prealloc
        || memory.merge.is_some();
    if special || memory.max.is_some() || memory.slots.is_some() {
        builder.conflict(
            at.field("size"),
            "memory options require `memory.size` on this board, which has a fixed default",
        );
    }
}

/// A size for `-m`, whose numbers without a unit are MiB.
fn kib(builder: &mut Builder<'_>, at: At<'_>, size: Size) -> String {
    let bytes = size.to_bytes();
    if !bytes.is_multiple_of(8192) {
        builder.invalid(at, &size.to_string(), "is not a multiple of 8 KiB");
    }
    if bytes.is_multiple_of(1 << 20) { format!("{}M", bytes >> 20) } else { format!("{}k", bytes >> 10) }
}

fn backend(builder: &mut Builder<'_>, at: At<'_>, config: &VmConfig, size: Size) {
    let memory = &config.memory;
    if builder.shared_memory && memory.share == Some(false) {
        builder.conflict(at.field("share"), "one of the devices requires shared memory");
    }
    let plain = !shared(builder, memory) && !memory.prealloc && memory.merge.is_none();
    if config.numa.is_empty() && !(memory.backend == MemoryBackend::Default && plain) {
        object(builder, at, config, BACKEND_ID, size, Props::new());
        builder.machine.set("memory-backend", BACKEND_ID);
    }
}

fn shared(builder: &Builder<'_>, memory: &Memory) -> bool {
    memory.share.unwrap_or(builder.shared_memory)
}

/// Adds an object of the configured kind with that much memory.
pub(super) fn object(
    builder: &mut Builder<'_>,
    at: At<'_>,
    config: &VmConfig,
    id: &str,
    size: Size,
    extra: Props,
) {
    let memory = &config.memory;
    let share = shared(builder, memory);
    let memory_at = At::section("memory");
    let at_backend = memory_at.field("backend");
    let (kind, mut props) = match &memory.backend {
        MemoryBackend::Default if share => ("memory-backend-memfd", Props::new()),
        MemoryBackend::Default | MemoryBackend::Ram => ("memory-backend-ram", Props::new()),
        MemoryBackend::File(FileMemory { path, discard_data, pmem }) => {
            // Several objects in one file would be the same memory. Behind a slash only a directory is accepted, in
            // which each gets a file of its own.
            let many = config.numa.len() > 1;
            let path = if many { Cow::Owned(path.join("")) } else { Cow::Borrowed(path) };
            let path = builder.path(at_backend.field("path"), &path);
            let props = Props::new()
                .with("mem-path", path)
                .with_some("discard-data", discard_data.then_some(true))
                .with_some("pmem", pmem.then_some(true));
            ("memory-backend-file", props)
        }
        MemoryBackend::Memfd(MemfdMemory { huge_pages }) => {
            if huge_pages.is_some_and(|size| !size.to_bytes().is_power_of_two()) {
                builder.conflict(
                    at_backend.field("huge_pages"),
                    "the size of a huge page must be a power of two",
                );
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
    builder.object(at, kind, id, props);
}
