//! Disk images: create, look at, check, resize, copy and convert them.
//!
//! The engine is QEMU's own `qemu-img`, so every format that QEMU reads is understood as QEMU understands it. What this
//! module adds:
//!
//! - A format is never guessed. It is what the caller says, or what the ending of the name stands for
//!   ([`Image::by_name`]); a backing file always gets its format written beside it.
//! - A new image appears whole or not at all: it is written beside its place, synced, then renamed. Dropping the future
//!   ends `qemu-img` and removes what it wrote.
//! - A path is a path: `json:…` and `nbd:…` are file names here.
//! - An image that another process has open is reported with the processes that hold it ([`ImageError::InUse`]).
//! - A key for an encrypted image comes from a [`SecretSource`] and travels in a memory file.
//!
//! ```no_run
//! use qemuctl::image::{CreateOptions, Image, QemuImg};
//! use qemuctl::Size;
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

/// A file or block device with a disk's content, and the format that content is in.
#[derive(Clone, Debug)]
pub struct Image {
    /// Where it is. A relative path counts from the working directory.
    pub path: PathBuf,
    /// What its bytes mean.
    pub format: BlockFormat,
    /// The passphrase of an encrypted image (`luks`, or `qcow2` with LUKS inside).
    pub key: Option<SecretSource>,
}

impl Image {
    /// The image at `path`, in `format`.
    pub fn new(path: impl Into<PathBuf>, format: BlockFormat) -> Self {
        Self { path: path.into(), format, key: None }
    }

    /// The image at `path`, in the format that the ending of its name stands for.
    ///
    /// # Errors
    ///
    /// [`ImageError::NoFormat`] if it stands for none.
    pub fn by_name(path: impl Into<PathBuf>) -> Result<Self, ImageError> {
        let path = path.into();
        match BlockFormat::of_name(&path) {
            Some(format) => Ok(Self::new(path, format)),
            None => Err(ImageError::NoFormat { path }),
        }
    }

    /// The same image, to be opened with this key.
    #[must_use]
    pub fn with_key(self, key: SecretSource) -> Self {
        Self { key: Some(key), ..self }
    }
}

/// Hears how much of an operation is done, from 0 to 100 percent.
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
    /// The `qemu-img` in the search path.
    ///
    /// # Errors
    ///
    /// [`ImageError::NoTool`] if there is none.
    pub fn find() -> Result<Self, ImageError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        let mut candidates = std::env::split_paths(&path).map(|dir| dir.join("qemu-img"));
        candidates.find(|program| program.is_file()).map(Self::at).ok_or(ImageError::NoTool)
    }

    /// The `qemu-img` at `program`.
    pub fn at(program: impl Into<PathBuf>) -> Self {
        Self { program: program.into(), observer: None }
    }

    /// The same program, with an observer that hears how much of a long operation is done, in percent.
    ///
    /// `convert`, `copy`, `commit`, `rebase` and `compare` report progress; it is called from the task that waits for them.
    #[must_use]
    pub fn on_progress(self, observer: impl Fn(u8) + Send + Sync + 'static) -> Self {
        Self { observer: Some(Arc::new(observer)), ..self }
    }

    /// Where the program is.
    pub fn program(&self) -> &Path {
        &self.program
    }
}
