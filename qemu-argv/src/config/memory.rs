//! Guest memory and its backing on the host.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::flexible;
use super::size::Size;
use crate::qemu_target::Arch;
use crate::topology::Machine as Board;

/// Guest memory. In config files, may be given as just its size: `memory = "2GiB"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// The size at boot; a number without a unit means MiB, as for QEMU's `-m`. Defaults to 512 MiB (1 GiB on loongarch64) on boards that accept any size,
    /// and to the board's own size on others.
    #[serde(deserialize_with = "mebibytes")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "memory_schema"))]
    pub size: Option<Size>,
    /// The maximum size with hotplugged memory; a number without a unit means MiB. Defaults to no hotplug.
    #[serde(deserialize_with = "mebibytes")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "memory_schema"))]
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

impl Memory {
    /// Returns the default size on boards that accept any: what QEMU 7.2 requires on `loongarch64`, and 512 MiB elsewhere.
    pub fn default_size(arch: Arch) -> Size {
        if arch == Arch::Loongarch64 { Size::gib(1) } else { Size::mib(512) }
    }

    /// Returns the size at boot on that board, or `None` if the board decides it.
    pub(crate) fn size_on(&self, board: Board, arch: Arch) -> Option<Size> {
        self.size.or_else(|| (!board.decides_itself()).then(|| Self::default_size(arch)))
    }

    /// Makes plain memory of this size.
    pub fn new(size: Size) -> Self {
        Self { size: Some(size), ..Self::default() }
    }
}

impl FromStr for Memory {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        in_text(text).map(Self::new)
    }
}

impl flexible::Short for Memory {
    fn from_number(number: u64) -> Result<Self, String> {
        of_number(number).map(Self::new)
    }

    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::memory(MOST_MIB)
    }
}

/// The most memory that a number without unit can mean: 64 TiB. A larger one was meant as bytes.
const MOST_MIB: u64 = 64 << 20;

/// Reads a number of MiB.
fn of_number(number: u64) -> Result<Size, String> {
    if number > MOST_MIB {
        return Err(format!(
            "a number without a unit means MiB, and {number} MiB is too much; for bytes, write \"{number}B\""
        ));
    }
    Ok(Size::mib(number))
}

/// What an optional size looks like in files.
#[cfg(feature = "schema")]
fn memory_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
    schemars::json_schema!({ "anyOf": [crate::schema_forms::memory(MOST_MIB), { "type": "null" }] })
}

/// Reads an optional size, whose numbers without unit are MiB.
fn mebibytes<'de, D: Deserializer<'de>>(deserializer: D) -> Result<Option<Size>, D::Error> {
    struct Reader;

    impl<'de> de::Visitor<'de> for Reader {
        type Value = Option<Size>;

        fn expecting(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
            formatter.write_str("a size such as \"2GiB\" or a number of MiB")
        }

        fn visit_none<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_unit<E>(self) -> Result<Self::Value, E> {
            Ok(None)
        }

        fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Self::Value, D::Error> {
            deserializer.deserialize_any(self)
        }

        fn visit_u64<E: de::Error>(self, number: u64) -> Result<Self::Value, E> {
            of_number(number).map(Some).map_err(E::custom)
        }

        fn visit_i64<E: de::Error>(self, number: i64) -> Result<Self::Value, E> {
            let number = u64::try_from(number).map_err(|_| E::custom("a size cannot be negative"))?;
            self.visit_u64(number)
        }

        fn visit_str<E: de::Error>(self, text: &str) -> Result<Self::Value, E> {
            in_text(text).map(Some).map_err(E::custom)
        }
    }

    deserializer.deserialize_option(Reader)
}

/// Reads a size, whose numbers without unit are MiB, from a text.
fn in_text(text: &str) -> Result<Size, String> {
    match text.trim().parse() {
        Ok(number) => of_number(number),
        Err(_) => text.parse::<Size>().map_err(|error| error.to_string()),
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
