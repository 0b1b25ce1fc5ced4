//! A new image that is written beside its place and takes it when it is whole.

use std::fs::File;
use std::io;
use std::path::{Path, PathBuf};

use tempfile::{NamedTempFile, TempPath};

use super::ImageError;

/// An image under way. Dropped, it is removed.
pub(super) struct Draft {
    file: TempPath,
    target: PathBuf,
    replace: bool,
}

impl Draft {
    /// Makes an empty file, readable and writable by its owner alone, in the target's directory.
    pub(super) fn new(target: &Path, replace: bool) -> Result<Self, ImageError> {
        let io = |action| move |source| ImageError::Io { action, path: target.into(), source };
        let target = std::path::absolute(target).map_err(io("find"))?;
        if !replace && target.symlink_metadata().is_ok() {
            return Err(ImageError::Exists { path: target });
        }
        let dir = target.parent().unwrap_or(Path::new("/"));
        let name = target.file_name().unwrap_or_default().to_string_lossy();
        let file = tempfile::Builder::new().prefix(&format!(".{name}.")).suffix(".part").tempfile_in(dir);
        Ok(Self { file: file.map_err(io("create"))?.into_temp_path(), target, replace })
    }

    /// Where to write.
    pub(super) fn path(&self) -> &Path {
        &self.file
    }

    /// Syncs the image and puts it in its place. Nothing of it is lost in a power failure after that.
    pub(super) async fn finish(self) -> Result<(), ImageError> {
        let target = self.target.clone();
        let place = move || {
            File::open(&self.file)?.sync_all()?;
            let file = NamedTempFile::from_parts((), self.file);
            if self.replace {
                file.persist(&self.target).map_err(|error| error.error)?;
            } else {
                file.persist_noclobber(&self.target).map_err(|error| error.error)?;
            }
            File::open(self.target.parent().unwrap_or(Path::new("/")))?.sync_all()
        };
        let placed =
            tokio::task::spawn_blocking(place).await.unwrap_or_else(|error| Err(io::Error::other(error)));
        placed.map_err(|source| match source.kind() {
            io::ErrorKind::AlreadyExists => ImageError::Exists { path: target },
            _ => ImageError::Io { action: "write", path: target, source },
        })
    }
}
