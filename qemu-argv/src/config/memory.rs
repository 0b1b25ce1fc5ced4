//! Guest memory and its backing on the host.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;
use super::size::{ParseSizeError, Size};

/// Guest memory. In config files, may be given as just its size: `memory = "2GiB"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// The size at boot.
    pub size: Size,
    /// The maximum size with hotplugged memory. Defaults to no hotplug.
    pub max: Option<Size>,
    /// Slots for hotplugged memory modules. Defaults to 8 with `max`, and to none otherwise.
    pub slots: Option<u8>,
    /// The backing on the host.
    pub backend: MemoryBackend,
    /// Whether the memory is shared with helper processes (vhost-user, virtiofs). Defaults to true if a device requires
    /// it.
    pub share: Option<bool>,
    /// Whether all memory is allocated before the guest starts.
    pub prealloc: bool,
    /// Whether the host may merge equal pages of several guests. Defaults to QEMU's default, which is true.
    pub merge: Option<bool>,
    /// Whether the memory is locked, so that it cannot be swapped out.
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
    /// Makes plain memory of this size.
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

/// The backing of guest memory.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum MemoryBackend {
    /// The board's own anonymous memory, or a memfd with `share`.
    #[default]
    #[serde(deserialize_with = "flexible::nothing_more")]
    Default,
    /// Anonymous memory as a separate object.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Ram,
    /// A file, or a directory in a hugetlbfs.
    File(FileMemory),
    /// An unnamed file in memory (Linux), which helper processes can map.
    Memfd(MemfdMemory),
}

/// A file, or a directory in a hugetlbfs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FileMemory {
    /// The file, or the directory in which QEMU creates an unnamed one. Several NUMA nodes require a directory.
    pub path: PathBuf,
    /// Whether the content may be discarded on exit instead of being written back.
    #[serde(default)]
    pub discard_data: bool,
    /// Whether the path is persistent memory.
    #[serde(default)]
    pub pmem: bool,
}

impl FileMemory {
    /// Makes one from the required fields, with defaults for the others.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), discard_data: false, pmem: false }
    }
}

/// An unnamed file in memory (Linux), which helper processes can map.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct MemfdMemory {
    /// The size of huge pages. Defaults to ordinary pages.
    pub huge_pages: Option<Size>,
}

/// Whether QEMU's memory is locked in RAM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MemoryLock {
    /// The memory may be swapped out.
    #[default]
    Off,
    /// All memory is locked at startup.
    On,
    /// Each page is locked when first used (QEMU ≥ 10.0).
    OnFault,
}
