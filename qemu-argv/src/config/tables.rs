//! Data that firmware shows the guest: SMBIOS tables and firmware configuration files.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A file that the guest reads from the firmware configuration device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FwCfg {
    /// The name, which starts with `opt/` and, after that, best with a domain of one's own.
    pub name: String,
    /// The content, as text. Exactly one of `text` and `file`.
    #[serde(default)]
    pub text: Option<String>,
    /// The content, as a file.
    #[serde(default)]
    pub file: Option<PathBuf>,
}

impl FwCfg {
    /// An entry that holds a text.
    pub fn text(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: Some(text.into()), file: None }
    }

    /// An entry that holds the bytes of a file.
    pub fn file(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), text: None, file: Some(path.into()) }
    }
}

/// What the guest reads about its hardware.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Smbios {
    /// The BIOS (type 0).
    pub bios: Option<SmbiosBios>,
    /// The system (type 1).
    pub system: Option<SmbiosSystem>,
    /// The board (type 2).
    pub baseboard: Option<SmbiosPart>,
    /// The chassis (type 3).
    pub chassis: Option<SmbiosPart>,
    /// Texts of one's own (type 11).
    pub oem_strings: Vec<String>,
}

/// The BIOS as SMBIOS tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SmbiosBios {
    /// Who made it.
    pub vendor: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its date.
    pub date: Option<String>,
}

/// The system as SMBIOS tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SmbiosSystem {
    /// Who made it.
    pub manufacturer: Option<String>,
    /// What it is.
    pub product: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its serial number; cloud-init reads its data source here.
    pub serial: Option<String>,
    /// Its number for orders.
    pub sku: Option<String>,
    /// Its family.
    pub family: Option<String>,
}

/// A board or chassis as SMBIOS tells it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SmbiosPart {
    /// Who made it.
    pub manufacturer: Option<String>,
    /// What it is (boards only).
    pub product: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its asset tag.
    pub asset: Option<String>,
}
