//! Image formats, and how QEMU accesses images.

use std::path::Path;

use serde::{Deserialize, Serialize};

/// The format of an image.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the formats' own")]
#[non_exhaustive]
pub enum BlockFormat {
    Raw,
    Qcow2,
    Vmdk,
    Vdi,
    Vhdx,
    Vpc,
    Qed,
    Luks,
}

impl BlockFormat {
    /// All formats.
    pub const ALL: [Self; 8] =
        [Self::Raw, Self::Qcow2, Self::Vmdk, Self::Vdi, Self::Vhdx, Self::Vpc, Self::Qed, Self::Luks];

    /// Returns the format of a file name extension, ignoring case. The content is never read.
    pub fn of_name(path: &Path) -> Option<Self> {
        let ending = path.extension()?.to_str()?.to_ascii_lowercase();
        Some(match ending.as_str() {
            "raw" | "img" | "iso" | "bin" => Self::Raw,
            "qcow2" => Self::Qcow2,
            "vmdk" => Self::Vmdk,
            "vdi" => Self::Vdi,
            "vhdx" => Self::Vhdx,
            "vhd" | "vpc" => Self::Vpc,
            "qed" => Self::Qed,
            "luks" => Self::Luks,
            _ => return None,
        })
    }

    /// Returns QEMU's name of the driver.
    pub const fn qemu_name(self) -> &'static str {
        match self {
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
            Self::Vmdk => "vmdk",
            Self::Vdi => "vdi",
            Self::Vhdx => "vhdx",
            Self::Vpc => "vpc",
            Self::Qed => "qed",
            Self::Luks => "luks",
        }
    }
}

/// How the host's page cache is used, as in QEMU's `cache=`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Cache {
    /// Through the host's cache; the guest's flushes reach the disk.
    Writeback,
    /// Bypassing the host's cache (`O_DIRECT`); the guest's flushes reach the disk.
    None,
    /// Through the host's cache; every write is flushed.
    Writethrough,
    /// Bypassing the host's cache; every write is flushed.
    Directsync,
    /// Through the host's cache; flushes are ignored. A host crash loses data.
    Unsafe,
}

/// How QEMU accesses a file.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum DiskAio {
    /// A pool of threads.
    Threads,
    /// Linux AIO; requires `cache = "none"` or `"directsync"`.
    Native,
    /// Linux `io_uring`.
    IoUring,
}

/// How writes of zeroes are handled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DetectZeroes {
    /// Plain writes.
    #[default]
    Off,
    /// Efficient writes of zeroes.
    On,
    /// Freed space; requires `discard`.
    Unmap,
}

/// What happens on an I/O error.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OnError {
    /// The error is reported to the guest.
    Report,
    /// The error is ignored.
    Ignore,
    /// The VM is paused.
    Stop,
    /// The VM is paused if space ran out; other errors are reported to the guest.
    Enospc,
}
