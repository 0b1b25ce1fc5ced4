//! Guest memory and where the host takes it from.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;
use super::size::{ParseSizeError, Size};

/// Guest memory. In files also just its size: `memory = "2GiB"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// The size at boot.
    pub size: Size,
    /// The ceiling for hotplugged memory. Left out: no hotplug.
    pub max: Option<Size>,
    /// Slots for hotplugged modules. Left out: 8 with `max`, else none.
    pub slots: Option<u8>,
    /// Where the host takes it from.
    pub backend: MemoryBackend,
    /// Whether helper processes (vhost-user, virtiofs) see the memory. Left out: yes where a chosen device needs it.
    pub share: Option<bool>,
    /// Whether all of it is allocated before the guest starts.
    pub prealloc: bool,
    /// Whether the host may merge equal pages of several guests. Left out: as QEMU has it, yes.
    pub merge: Option<bool>,
    /// Whether it is kept from being swapped out.
    pub lock: MemoryLock,
}

impl Default for Memory {
    fn default() -> Self {
        Self {
            size: Size::mib(512),
            max: None,
            slots: None,
            backend: MemoryBackend::Default,
            share: None,
            prealloc: false,
            merge: None,
            lock: MemoryLock::Off,
        }
    }
}

impl Memory {
    /// Plain memory of that size.
    pub fn new(size: Size) -> Self {
        Self { size, ..Self::default() }
    }
}

impl FromStr for Memory {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, ParseSizeError> {
        text.parse().map(Self::new)
    }
}

impl flexible::Short for Memory {
    fn from_number(number: u64) -> Result<Self, String> {
        Ok(Self::new(Size::bytes(number)))
    }

    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::size()
    }
}

/// Where guest memory comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum MemoryBackend {
    /// The board's own anonymous memory; a memfd where `share` asks for it.
    #[default]
    #[serde(deserialize_with = "flexible::nothing_more")]
    Default,
    /// Anonymous memory as an object.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Ram,
    /// A file, or a directory of a hugetlbfs.
    File(FileMemory),
    /// An unnamed file in memory (Linux), which helpers can map.
    Memfd(MemfdMemory),
}

/// A file, or a directory of a hugetlbfs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FileMemory {
    /// The file, or the directory in which QEMU makes an unnamed one. With several NUMA nodes it is a directory.
    pub path: PathBuf,
    /// Whether the file is emptied on exit instead of written back.
    #[serde(default)]
    pub discard_data: bool,
    /// Whether the path is persistent memory.
    #[serde(default)]
    pub pmem: bool,
}

impl FileMemory {
    /// With what it cannot do without; the rest as when left out of a file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), discard_data: false, pmem: false }
    }
}

/// An unnamed file in memory (Linux), which helpers can map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct MemfdMemory {
    /// The size of huge pages to use. Left out: ordinary pages.
    pub huge_pages: Option<Size>,
}

/// Whether QEMU's memory is locked in RAM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MemoryLock {
    /// It may be swapped out.
    #[default]
    Off,
    /// All of it is locked at start.
    On,
    /// Each page is locked when first used (QEMU ≥ 10.0).
    OnFault,
}
