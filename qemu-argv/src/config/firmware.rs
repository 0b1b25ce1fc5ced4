//! Firmware.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;
use super::image::BlockFormat;
use super::size::Size;

/// The firmware. Defaults to the board's own. In config files, may be given as just `"uefi"`, `"none"`, or the path of a BIOS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Firmware {
    /// A file that replaces the board's own BIOS.
    Bios(BiosFirmware),
    /// UEFI in flash memory.
    Uefi(UefiFirmware),
    /// None: the guest's kernel is the first program (`-bios none`).
    #[serde(deserialize_with = "flexible::nothing_more")]
    None,
}

impl FromStr for Firmware {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "uefi" => Ok(Self::Uefi(UefiFirmware::default())),
            "none" => Ok(Self::None),
            "default" => Err("the board's own firmware is the default; leave `firmware` out".into()),
            "bios" => {
                Err("set the file: firmware = \"bios.bin\"; the board's own BIOS is the default".into())
            }
            path if path.contains(['.', '/']) => Ok(Self::Bios(BiosFirmware::new(path))),
            word => Err(format!(
                "{word:?} is not a kind of firmware; expected uefi, none, or a file such as OVMF.fd"
            )),
        }
    }
}

impl flexible::Short for Firmware {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::pattern(r"uefi|none|[\s\S]*[./][\s\S]*")
    }
}

/// A file that replaces the board's own BIOS.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BiosFirmware {
    /// The file.
    pub path: PathBuf,
}

impl BiosFirmware {
    /// Makes firmware from this file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// UEFI in flash memory: code that is shared by all VMs, and variables of each VM.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct UefiFirmware {
    /// The code. Defaults to what the launcher finds.
    pub code: Option<PathBuf>,
    /// The format of the code. Defaults to raw.
    pub code_format: Option<BlockFormat>,
    /// The VM's own copy of the variables. By default the launcher creates one, which a detached VM keeps for its next
    /// start.
    pub vars: Option<PathBuf>,
    /// The size of the flash memory for the variables, if `vars` is larger: raw images only. Defaults to all of it.
    pub vars_size: Option<Size>,
    /// The format of the variables. Defaults to the one of the file name extension, or else to raw.
    pub vars_format: Option<BlockFormat>,
    /// The template from which the launcher creates `vars`. Never passed to QEMU.
    pub vars_template: Option<PathBuf>,
    /// Whether only signed programs can boot: the launcher selects suitable code and variables, and on x86 (`q35`) QEMU
    /// protects the variables with System Management Mode.
    pub secure_boot: bool,
}
