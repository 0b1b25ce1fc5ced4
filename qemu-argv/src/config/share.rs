//! Shared directories.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::topology::Address;

/// A directory of the host that the guest mounts by a tag.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Share {
    /// virtiofs, served by a helper such as `virtiofsd`.
    Virtiofs(VirtiofsShare),
    /// 9p, served by QEMU itself.
    #[serde(rename = "9p")]
    NineP(NinePShare),
}

/// virtiofs, served by a helper such as `virtiofsd`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VirtiofsShare {
    /// The share's id in plans and QMP. Defaults to `share0`, `share1`, ….
    #[serde(default)]
    pub id: Option<String>,
    /// The tag the guest mounts, at most 36 bytes.
    pub tag: String,
    /// The helper's socket. The helper must listen when QEMU starts.
    pub socket: PathBuf,
    /// The number of requests in flight. Defaults to 128.
    #[serde(default)]
    pub queue_size: Option<u16>,
    /// The address (PCI or channel I/O). Defaults to an address chosen by the plan.
    #[serde(default)]
    pub address: Option<Address>,
}

impl VirtiofsShare {
    /// Makes one from the required fields, with defaults for the others.
    pub fn new(tag: impl Into<String>, socket: impl Into<PathBuf>) -> Self {
        Self { id: None, tag: tag.into(), socket: socket.into(), queue_size: None, address: None }
    }
}

/// 9p, served by QEMU itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NinePShare {
    /// The share's id in plans and QMP. Defaults to `share0`, `share1`, ….
    #[serde(default)]
    pub id: Option<String>,
    /// The tag the guest mounts, at most 31 bytes.
    pub tag: String,
    /// The directory.
    pub path: PathBuf,
    /// How owners and modes of the guest's files are stored.
    #[serde(default)]
    pub security: NinePSecurity,
    /// Whether the share is read-only.
    #[serde(default)]
    pub read_only: bool,
    /// Whether file systems that are mounted below the directory get inode numbers of their own.
    #[serde(default)]
    pub remap_devices: bool,
    /// The address (PCI, channel I/O or memory-mapped slot). Defaults to an address chosen by the plan.
    #[serde(default)]
    pub address: Option<Address>,
}

impl NinePShare {
    /// Makes one from the required fields, with defaults for the others.
    pub fn new(tag: impl Into<String>, path: impl Into<PathBuf>) -> Self {
        Self {
            id: None,
            tag: tag.into(),
            path: path.into(),
            security: NinePSecurity::default(),
            read_only: false,
            remap_devices: false,
            address: None,
        }
    }
}

impl Share {
    /// Returns the share's id, if it was set.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Virtiofs(VirtiofsShare { id, .. }) | Self::NineP(NinePShare { id, .. }) => id.as_deref(),
        }
    }
}

/// How 9p stores owners and modes of the guest's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NinePSecurity {
    /// In extended attributes; files belong to QEMU's user.
    #[default]
    MappedXattr,
    /// In hidden files next to them.
    MappedFile,
    /// Directly; QEMU must be root.
    Passthrough,
    /// Directly, as far as permitted.
    None,
}
