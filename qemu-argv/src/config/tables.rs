//! Data that firmware passes to the guest: SMBIOS tables and `fw_cfg` files.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A file on the firmware configuration device (`fw_cfg`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FwCfg {
    /// The name, which must start with `opt/`, and should continue with a domain name of yours.
    pub name: String,
    /// The content, as text. Exactly one of `text` and `file`.
    #[serde(default)]
    pub text: Option<String>,
    /// The content, as a file.
    #[serde(default)]
    pub file: Option<PathBuf>,
}

impl FwCfg {
    /// Makes an entry from a text.
    pub fn text(name: impl Into<String>, text: impl Into<String>) -> Self {
        Self { name: name.into(), text: Some(text.into()), file: None }
    }

    /// Makes an entry from a file.
    pub fn file(name: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self { name: name.into(), text: None, file: Some(path.into()) }
    }
}

/// SMBIOS tables, which describe the hardware to the guest.
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
    /// OEM strings (type 11).
    pub oem_strings: Vec<String>,
    /// Files with one OEM string each, for what must not be seen in the arguments of QEMU.
    pub oem_files: Vec<PathBuf>,
}

/// The SMBIOS description of the BIOS.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SmbiosBios {
    /// The manufacturer.
    pub vendor: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its date.
    pub date: Option<String>,
}

/// The SMBIOS description of the system.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SmbiosSystem {
    /// The manufacturer.
    pub manufacturer: Option<String>,
    /// The product name.
    pub product: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its serial number, from which cloud-init can read its data source.
    pub serial: Option<String>,
    /// Its SKU number.
    pub sku: Option<String>,
    /// Its family.
    pub family: Option<String>,
}

/// The SMBIOS description of a board or chassis.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct SmbiosPart {
    /// The manufacturer.
    pub manufacturer: Option<String>,
    /// The product name (boards only).
    pub product: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Its serial number.
    pub serial: Option<String>,
    /// Its asset tag.
    pub asset: Option<String>,
}
