//! Memory and where the host takes it from.

use super::bag::{Bag, Why, as_size};
use super::line::Line;
use crate::config::{FileMemory, MemfdMemory, Memory, MemoryBackend, Size, VmConfig};
use crate::qemu_target::Arch;
use crate::topology::{Machine as Board, MachineOptions};
use crate::value::Props;

pub(super) fn memory(line: &mut Line, config: &mut VmConfig) {
    let memory = &mut config.memory;
    memory.size = default_memory(line);
    if let Some((at, mut bag)) = line.merged("m") {
        let mut read = || -> Result<(), Why> {
            memory.size = mib(&mut bag, "size")?.or(memory.size);
            memory.max = mib(&mut bag, "maxmem")?;
            memory.slots = bag.number("slots")?;
            bag.done()
        };
        if let Err(why) = read() {
            line.refuse(at, why);
        }
    }
    if let Some((_, path)) = line.last("mem-path") {
        memory.backend = MemoryBackend::File(FileMemory::new(path));
    }
    memory.prealloc = line.switch("mem-prealloc");
    if let Some((at, mut bag)) = line.merged("overcommit") {
        match bag.same_word("mem-lock") {
            Ok(lock) => memory.lock = lock.unwrap_or_default(),
            Err(why) => line.remark(at, why),
        }
        if let Err(why) = bag.done() {
            line.extra(at, why);
        }
    }
    let backend = config.machine.options.get_str("memory-backend").map(str::to_owned);
    if let Some(id) = backend {
        let mut options = Props::new();
        for (key, value) in config.machine.options.iter().filter(|(key, _)| *key != "memory-backend") {
            options.set(key.to_owned(), value.clone());
        }
        match backend_object(line, &id, &mut config.memory) {
            Ok((at, size, rest)) if rest.is_empty() && size == config.memory.size => {
                line.typed(at);
                config.machine.options = options;
            }
            Ok((at, ..)) => line.extra(at, "a config has no field for all that it says"),
            Err(why) => {
                if let Some(at) = line.definition("object", &id) {
                    line.extra(at, why);
                }
            }
        }
    }
}

/// A size whose plain numbers are MiB.
fn mib(bag: &mut Bag, key: &str) -> Result<Option<Size>, Why> {
    match bag.take(key) {
        None => Ok(None),
        Some(value) => as_size(&value, 20).map(Some).ok_or_else(|| format!("`{key}` is not a size")),
    }
}

/// Whether the board decides about processors and memory; see [`Board::decides_itself`].
pub(super) fn decides_itself(line: &Line) -> bool {
    Board::new(line.arch.qemu_name(), &line.machine, MachineOptions::default()).decides_itself()
}

/// What QEMU takes where nothing is said. `None`: what the board decides is left to it in a config, too.
fn default_memory(line: &Line) -> Option<Size> {
    if decides_itself(line) {
        return None;
    }
    Some(match line.arch {
        Arch::Ppc64 if line.machine.starts_with("pseries") => Size::mib(512),
        Arch::Loongarch64 => Size::gib(1),
        _ => Size::mib(128),
    })
}

/// Reads a memory object: its place, its size, and what is left of it.
pub(super) fn backend_object(
    line: &Line,
    id: &str,
    memory: &mut Memory,
) -> Result<(usize, Option<Size>, Bag), Why> {
    let (at, kind, mut bag) = line.object(id)?;
    let size = bag.size("size")?;
    let backend = match kind.as_str() {
        "memory-backend-ram" => MemoryBackend::Ram,
        "memory-backend-file" => MemoryBackend::File(FileMemory {
            path: bag.needed("mem-path")?.into(),
            discard_data: bag.flag("discard-data")?.unwrap_or_default(),
            pmem: bag.flag("pmem")?.unwrap_or_default(),
        }),
        "memory-backend-memfd" => {
            let huge = bag.flag("hugetlb")?.unwrap_or_default();
            let huge_pages = bag.size("hugetlbsize")?;
            if huge != huge_pages.is_some() {
                return Err("a config says the size of huge pages".into());
            }
            MemoryBackend::Memfd(MemfdMemory { huge_pages })
        }
        other => return Err(format!("a config has no memory of the kind {other}")),
    };
    // Memory in a memfd is shared unless it says otherwise.
    let share = bag.flag("share")?.unwrap_or(matches!(backend, MemoryBackend::Memfd(_)));
    let prealloc = bag.flag("prealloc")?.unwrap_or_default();
    let merge = bag.flag("merge")?;
    *memory = Memory {
        backend,
        share: share.then_some(true),
        prealloc: prealloc || memory.prealloc,
        merge,
        ..memory.clone()
    };
    Ok((at, size, bag))
}
