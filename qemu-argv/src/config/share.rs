//! Directories of the host in the guest.

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
    /// The name of the share in plans and QMP. Left out: `share0`, `share1`, ….
    #[serde(default)]
    pub id: Option<String>,
    /// The tag the guest mounts, at most 36 bytes.
    pub tag: String,
    /// The helper's socket. It must listen when QEMU starts.
    pub socket: PathBuf,
    /// Requests in flight. Left out: 128.
    #[serde(default)]
    pub queue_size: Option<u16>,
    /// The address (PCI or channel I/O). Left out: planned.
    #[serde(default)]
    pub address: Option<Address>,
}

impl VirtiofsShare {
    /// With what it cannot do without; the rest as when left out of a file.
    pub fn new(tag: impl Into<String>, socket: impl Into<PathBuf>) -> Self {
        Self { id: None, tag: tag.into(), socket: socket.into(), queue_size: None, address: None }
    }
}

/// 9p, served by QEMU itself.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct NinePShare {
    /// The name of the share in plans and QMP. Left out: `share0`, `share1`, ….
    #[serde(default)]
    pub id: Option<String>,
    /// The tag the guest mounts, at most 31 bytes.
    pub tag: String,
    /// The directory.
    pub path: PathBuf,
    /// How owners and modes of the guest are kept.
    #[serde(default)]
    pub security: NinePSecurity,
    /// Whether the guest can only read.
    #[serde(default)]
    pub read_only: bool,
    /// Whether file systems mounted below the directory get numbers of their own.
    #[serde(default)]
    pub remap_devices: bool,
    /// The address (PCI, channel I/O or memory-mapped slot). Left out: planned.
    #[serde(default)]
    pub address: Option<Address>,
}

impl NinePShare {
    /// With what it cannot do without; the rest as when left out of a file.
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
    /// The name of the share, where it is given.
    pub fn id(&self) -> Option<&str> {
        match self {
            Self::Virtiofs(VirtiofsShare { id, .. }) | Self::NineP(NinePShare { id, .. }) => id.as_deref(),
        }
    }
}

/// How 9p keeps owners and modes of the guest's files.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NinePSecurity {
    /// In extended attributes; files belong to QEMU's user.
    #[default]
    MappedXattr,
    /// In hidden files beside them.
    MappedFile,
    /// As they are; QEMU must be root.
    Passthrough,
    /// As they are where that is allowed.
    None,
}
