//! Firmware: what runs before the guest's own code.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;
use super::image::BlockFormat;

/// The firmware. Left out: the board's own. In files also just `"uefi"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Firmware {
    /// A file instead of the board's own BIOS.
    Bios(BiosFirmware),
    /// UEFI in flash memory.
    Uefi(UefiFirmware),
}

impl FromStr for Firmware {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "uefi" => Ok(Self::Uefi(UefiFirmware::default())),
            _ => Err(format!("{text:?} is not a kind of firmware; only \"uefi\" can be written as one word")),
        }
    }
}

impl flexible::Short for Firmware {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::words(["uefi"])
    }
}

/// A file instead of the board's own BIOS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BiosFirmware {
    /// The file.
    pub path: PathBuf,
}

impl BiosFirmware {
    /// The firmware in this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// UEFI in flash memory: code that all VMs share, variables that each has for itself.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct UefiFirmware {
    /// The code. Left out: found by the launcher.
    pub code: Option<PathBuf>,
    /// The format of the code. Left out: raw.
    pub code_format: Option<BlockFormat>,
    /// The VM's own copy of the variables. Left out: the launcher makes one, which a detached VM keeps for its next start.
    pub vars: Option<PathBuf>,
    /// The format of the variables. Left out: by the ending of the file's name, else raw.
    pub vars_format: Option<BlockFormat>,
    /// What the launcher makes `vars` from when it is not there yet. Never given to QEMU.
    pub vars_template: Option<PathBuf>,
    /// Whether only signed programs boot: the launcher takes code and variables that are made for it, and on x86 (`q35`)
    /// QEMU protects the variables by System Management Mode.
    pub secure_boot: bool,
}
