//! Changing images in place.

use qemu_argv::Size;

use super::inspect::with;
use super::run::{Run, absolute};
use super::{Image, ImageError, QemuImg};

impl QemuImg {
    /// Gives the image another size. What the guest has on it stays as it is: it must enlarge its partitions itself.
    ///
    /// # Errors
    ///
    /// [`ImageError::WouldShrink`] for a smaller size unless `shrink` allows it: what is behind the new end is lost.
    /// [`ImageError::InUse`] while a VM has it open: [`block_resize`](qmp_proto::BlockResize) is for those.
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

    /// Writes what the image holds into the one it rests on, and empties the image.
    ///
    /// # Errors
    ///
    /// [`ImageError::InUse`] while a VM has one of them open, and [`ImageError::Failed`] if it rests on none.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, both images stay valid: what was written so far is in both. It can be repeated.
    pub async fn commit(&self, image: &Image) -> Result<(), ImageError> {
        let run = Run::new(self, "commit", &image.path).with_progress();
        with(run, image)?.done("commit").await?;
        Ok(())
    }

    /// Has the image rest on `backing`, or on nothing. A guest sees the same content as before: what differs is copied into
    /// the image.
    ///
    /// # Errors
    ///
    /// [`ImageError::InUse`] while a VM has one of them open, [`ImageError::NoSpace`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the image rests on what it rested on before, and its content is the same. It can be repeated.
    pub async fn rebase(&self, image: &Image, backing: Option<&Image>) -> Result<(), ImageError> {
        self.rebase_by(image, backing, Run::new(self, "rebase", &image.path).with_progress()).await
    }

    /// Has the image name `backing` as what it rests on, without looking at contents: for a backing file that was moved or
    /// renamed. **A backing file with other content destroys what the guest sees.**
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
