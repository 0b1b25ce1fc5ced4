//! Guest memory and where the host takes it from.

use std::fmt;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, de};

use super::flexible;
use super::size::Size;

/// Guest memory. In files also just its size: `memory = "2GiB"`.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields, default)]
pub struct Memory {
    /// The size at boot; a number without unit is MiB, as for QEMU's `-m`. Defaults to 512 MiB on boards that take any size, and to
    /// the board's own size on others.
    #[serde(deserialize_with = "mebibytes")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "memory_schema"))]
    pub size: Option<Size>,
    /// The ceiling for hotplugged memory; a number without unit is MiB. Defaults to no hotplug.
    #[serde(deserialize_with = "mebibytes")]
    #[cfg_attr(feature = "schema", schemars(schema_with = "memory_schema"))]
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

impl Memory {
    /// The size of a board that takes any.
    pub const DEFAULT_SIZE: Size = Size::mib(512);

    /// Plain memory of that size.
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
            "a number without unit is MiB, and {number} are too many; for bytes write \"{number}B\""
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
