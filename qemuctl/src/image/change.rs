//! Changing images in place.

use qemu_argv::Size;

use super::inspect::with;
use super::run::{Run, absolute};
use super::{Image, ImageError, QemuImg};

impl QemuImg {
    /// Resizes the image. The guest's partitions and file systems are not changed.
    ///
    /// # Errors
    ///
    /// [`ImageError::WouldShrink`] for a smaller size, unless `shrink` is set, which destroys the data beyond the new
    /// size. [`ImageError::InUse`] while a VM has it open; use [`block_resize`](qmp_proto::BlockResize) then.
    pub async fn resize(&self, image: &Image, size: Size, shrink: bool) -> Result<(), ImageError> {
        let before = self.info(image).await?;
        let before =
            before.first().and_then(|info| u64::try_from(info.virtual_size).ok()).unwrap_or_default();
        let mut run = Run::new(self, "resize", &image.path).arg("-q");
        if size.to_bytes() < before {
            if !shrink {
                let (path, from) = (image.path.clone(), Size::bytes(before));
                return Err(ImageError::WouldShrink { path, from, to: size });
            }
            run = run.arg("--shrink");
        }
        with(run, image)?.arg(size.to_bytes().to_string()).done("resize").await?;
        Ok(())
    }

    /// Changes the internal snapshot `tag`: `-c` creates, `-a` applies, `-d` deletes it.
    pub(crate) async fn snapshot(
        &self,
        image: &Image,
        action: &'static str,
        option: &str,
        tag: &str,
    ) -> Result<(), ImageError> {
        // Before 10.0 there is no other way to give the format.
        let run = Run::new(self, action, &image.path).args(["-q", "--image-opts", option]).arg(tag);
        run.image(image, "", true)?.done("snapshot").await?;
        Ok(())
    }

    /// Writes the image's content into its backing file, and empties the image.
    ///
    /// # Errors
    ///
    /// [`ImageError::InUse`] while a VM has one of them open, and [`ImageError::Failed`] if it has no backing file.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, both images stay valid, and the operation can be repeated.
    pub async fn commit(&self, image: &Image) -> Result<(), ImageError> {
        let run = Run::new(self, "commit", &image.path).with_progress();
        with(run, image)?.done("commit").await?;
        Ok(())
    }

    /// Changes the backing file to `backing`, or removes it. The guest sees the same content as before: differing data
    /// is copied into the image.
    ///
    /// # Errors
    ///
    /// [`ImageError::InUse`] while a VM has one of them open, [`ImageError::NoSpace`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the backing file and the content are unchanged, and the operation can be repeated.
    pub async fn rebase(&self, image: &Image, backing: Option<&Image>) -> Result<(), ImageError> {
        self.rebase_by(image, backing, Run::new(self, "rebase", &image.path).with_progress()).await
    }

    /// Changes the name of the backing file to `backing` without comparing contents, after it was moved or renamed. **A
    /// backing file with different content corrupts the image.**
    ///
    /// # Errors
    ///
    /// As [`rebase`](Self::rebase).
    pub async fn rename_backing(&self, image: &Image, backing: &Image) -> Result<(), ImageError> {
        self.rebase_by(image, Some(backing), Run::new(self, "rebase", &image.path).arg("-u")).await
    }

    async fn rebase_by(
        &self,
        image: &Image,
        backing: Option<&Image>,
        run: Run<'_>,
    ) -> Result<(), ImageError> {
        let run = match backing {
            Some(backing) => {
                run.arg("-b").arg(absolute(&backing.path)).args(["-F", backing.format.qemu_name()])
            }
            None => run.args(["-b", ""]),
        };
        with(run, image)?.done("rebase").await?;
        Ok(())
    }
}
