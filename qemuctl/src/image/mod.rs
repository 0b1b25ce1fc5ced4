//! Creates, inspects, checks, resizes, copies and converts disk images.
//!
//! Based on QEMU's `qemu-img`, so all formats are handled exactly as in QEMU. This module adds:
//!
//! - Formats are never guessed. The caller gives the format, or it is determined by the file name extension
//!   ([`Image::by_name`]). The format of a backing file is always recorded.
//! - A new image appears only when it is complete: it is written under a temporary name, synced and renamed. Dropping
//!   the future stops `qemu-img` and removes the partial image.
//! - Paths are always paths: `json:…` and `nbd:…` are file names here.
//! - An image that another process has open is reported with the processes that hold it ([`ImageError::InUse`]).
//! - The key of an encrypted image is read from a [`SecretSource`] and passed in a memory file.
//!
//! ```no_run
//! use qemuctl::image::{CreateOptions, Image, QemuImg};
//! use qemuctl::config::Size;
//!
//! # async fn example() -> Result<(), qemuctl::image::ImageError> {
//! let tool = QemuImg::find()?;
//! let base = Image::by_name("debian.qcow2")?;
//! let overlay = Image::by_name("web.qcow2")?;
//! tool.create(&overlay, &CreateOptions::overlay(base)).await?;
//! tool.resize(&overlay, Size::gib(40), false).await?;
//! # Ok(())
//! # }
//! ```

mod change;
mod convert;
mod create;
mod draft;
mod error;
mod holders;
mod inspect;
mod report;
mod run;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use qemu_argv::BlockFormat;

use crate::launch::SecretSource;

pub use convert::ConvertOptions;
pub use create::{CreateOptions, Preallocation};
pub use error::ImageError;
pub use holders::Holder;
pub use inspect::{Comparison, Repair};
pub use report::{CheckReport, Extent, Measurement};

/// A file or block device that contains a disk, with its format.
#[derive(Clone, Debug)]
pub struct Image {
    /// The path, relative to the working directory.
    pub path: PathBuf,
    /// The format.
    pub format: BlockFormat,
    /// The passphrase of an encrypted image (`luks`, or `qcow2` with LUKS inside).
    pub key: Option<SecretSource>,
}

impl Image {
    /// Describes the image at `path` with the given format.
    pub fn new(path: impl Into<PathBuf>, format: BlockFormat) -> Self {
        Self { path: path.into(), format, key: None }
    }

    /// Describes the image at `path`, with the format of its file name extension.
    ///
    /// # Errors
    ///
    /// [`ImageError::NoFormat`] if the extension is unknown.
    pub fn by_name(path: impl Into<PathBuf>) -> Result<Self, ImageError> {
        let path = path.into();
        match BlockFormat::of_name(&path) {
            Some(format) => Ok(Self::new(path, format)),
            None => Err(ImageError::NoFormat { path }),
        }
    }

    /// Sets the key of the image.
    #[must_use]
    pub fn with_key(self, key: SecretSource) -> Self {
        Self { key: Some(key), ..self }
    }
}

/// A callback for progress, from 0 to 100 percent.
type Observer = Arc<dyn Fn(u8) + Send + Sync>;

/// The program `qemu-img`. Cheap to clone.
#[derive(Clone)]
pub struct QemuImg {
    program: PathBuf,
    observer: Option<Observer>,
}

impl fmt::Debug for QemuImg {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("QemuImg").field("program", &self.program).finish_non_exhaustive()
    }
}

impl QemuImg {
    /// Finds `qemu-img` in the search path.
    ///
    /// # Errors
    ///
    /// [`ImageError::NoTool`] if there is none.
    pub fn find() -> Result<Self, ImageError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut candidates = std::env::split_paths(&path).map(|dir| dir.join("qemu-img"));
        candidates.find(|program| program.is_file()).map(Self::at).ok_or(ImageError::NoTool)
    }

    /// Uses the `qemu-img` at `program`.
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), observer: None }
    }

    /// Sets a callback for the progress of long operations, in percent.
    ///
    /// `convert`, `copy`, `commit`, `rebase` and `compare` report progress. The callback is called by the task that
    /// waits for them.
    #[must_use]
    pub fn on_progress(self, observer: impl Fn(u8) + Send + Sync + 'static) -> Self {
        Self { observer: Some(Arc::new(observer)), ..self }
    }

    /// Returns the path of the program.
    pub fn program(&self) -> &Path {
        &self.program
    }
}
