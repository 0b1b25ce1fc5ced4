//! The error type.

use std::io;
use std::path::PathBuf;

use qemu_argv::Size;

use super::holders::{Holder, list};

/// The error of an operation on a disk image. No partial image is left behind.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
#[non_exhaustive]
pub enum ImageError {
    #[error("qemu-img is not installed: install qemu-utils (Debian, Ubuntu) or qemu-img (Fedora, Arch)")]
    NoTool,
    #[error("cannot tell the format of {} from its name; give the format", path.display())]
    NoFormat { path: PathBuf },
    #[error("{} already exists", path.display())]
    Exists { path: PathBuf },
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error("cannot {action} {}: it is in use{}", path.display(), list(holders))]
    InUse { action: &'static str, path: PathBuf, holders: Vec<Holder> },
    #[error("cannot {action} {}: no space left on the device", path.display())]
    NoSpace { action: &'static str, path: PathBuf },
    #[error("shrinking {} from {from} to {to} would destroy data", path.display())]
    WouldShrink { path: PathBuf, from: Size, to: Size },
    #[error("cannot {action} {}: {reason}", path.display())]
    Failed { action: &'static str, path: PathBuf, reason: String },
}
