//! Counting of instructions, record and replay, TCG plugins.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;
use crate::value::Props;

/// Virtual time by the number of executed instructions (`-icount`). Requires TCG.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Icount {
    /// An instruction takes 2^`shift` ns of virtual time, 0 to 10. By default it is adapted to the host (`auto`).
    pub shift: Option<u8>,
    /// Whether virtual time stays close to the host's. Defaults to false.
    pub align: Option<bool>,
    /// Whether an idle guest waits in real time. Defaults to true.
    pub sleep: Option<bool>,
    /// A recording of what the guest gets from outside. All disks and networks of the config become part of it. Defaults to none.
    pub replay: Option<Replay>,
}

/// A recording of what the guest gets from outside, by which it can be executed again in exactly the same way.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Replay {
    /// Whether to record or to replay (`rr`).
    pub mode: ReplayMode,
    /// The file of the recording (`rrfile`).
    pub file: PathBuf,
    /// The name of a snapshot that is created when recording starts, and loaded when replaying starts (`rrsnapshot`). Defaults to
    /// none.
    #[serde(default)]
    pub snapshot: Option<String>,
}

impl Replay {
    /// Makes one from the required fields.
    pub fn new(mode: ReplayMode, file: impl Into<PathBuf>) -> Self {
        Self { mode, file: file.into(), snapshot: None }
    }
}

/// Whether to record or to replay.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ReplayMode {
    /// Record.
    Record,
    /// Replay.
    Replay,
}

/// A TCG plugin (`-plugin`), which observes the guest's instructions. In config files, may be given as just its path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields)]
pub struct Plugin {
    /// The shared library.
    pub path: PathBuf,
    /// Its arguments.
    #[serde(default)]
    pub args: Props,
}

impl Plugin {
    /// Makes a plugin without arguments.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), args: Props::new() }
    }
}

impl FromStr for Plugin {
    type Err = std::convert::Infallible;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(path))
    }
}

impl flexible::Short for Plugin {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::text()
    }
}
