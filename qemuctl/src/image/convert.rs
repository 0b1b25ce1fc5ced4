//! Copies images, in the same format or a different one.

use std::fs::File;

use rustix::fs::ioctl_ficlone;

use super::create::with_settings;
use super::draft::Draft;
use super::run::{Run, absolute};
use super::{Image, ImageError, Preallocation, QemuImg};

/// Options of [`QemuImg::convert`].
#[derive(Clone, Debug, Default)]
pub struct ConvertOptions {
    /// Whether to compress the copy (qcow2, vmdk). Reading it is slower, and later writes are not compressed.
    pub compress: bool,
    /// How to allocate space in advance. By default zeroes become holes.
    pub preallocation: Preallocation,
    /// Whether to replace an existing image. Defaults to false.
    pub replace: bool,
}

impl QemuImg {
    /// Writes the content of `source` to a new image without a backing file, readable only by its owner. Internal
    /// snapshots are not copied. With a key, the copy is encrypted by LUKS.
    ///
    /// # Errors
    ///
    /// [`ImageError::InUse`] while a VM writes to the source, [`ImageError::Exists`] unless the target may be replaced,
    /// [`ImageError::NoSpace`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing is left behind.
    pub async fn convert(
        &self,
        source: &Image,
        target: &Image,
        options: &ConvertOptions,
    ) -> Result<(), ImageError> {
        let draft = Draft::new(&target.path, options.replace)?;
        let mut run = Run::new(self, "copy", &source.path).with_progress();
        run = run.args(["-O", target.format.qemu_name()]);
        if options.compress {
            run = run.arg("-c");
        }
        run = with_settings(run, target, options.preallocation)?;
        super::inspect::with(run, source)?.arg(draft.path()).done("convert").await?;
        draft.finish().await
    }

    /// Copies an image without converting it. On file systems with reflinks, the copy shares its space with the
    /// original and includes internal snapshots; on others it is [`convert`](Self::convert)ed to its own format.
    ///
    /// # Errors
    ///
    /// As [`convert`](Self::convert).
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing is left behind.
    pub async fn copy(&self, source: &Image, target: &Image, replace: bool) -> Result<(), ImageError> {
        let draft = Draft::new(&target.path, replace)?;
        // Only qemu-img can detect locks; a clone of an image that is being written to would be inconsistent.
        self.check_lock(source).await?;
        let cloned = File::open(absolute(&source.path)).and_then(|from| {
            let to = File::options().write(true).open(draft.path())?;
            Ok(ioctl_ficlone(to, from)?)
        });
        if cloned.is_ok() {
            return draft.finish().await;
        }
        drop(draft);
        let options = ConvertOptions { replace, ..ConvertOptions::default() };
        self.convert(source, &Image { format: source.format, ..target.clone() }, &options).await
    }

    /// Fails if the image is being written to.
    async fn check_lock(&self, image: &Image) -> Result<(), ImageError> {
        let run = Run::new(self, "copy", &image.path).arg("--output=json");
        super::inspect::with(run, image)?.done("info").await.map(drop)
    }
}
