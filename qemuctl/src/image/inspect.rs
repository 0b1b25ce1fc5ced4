//! Looking at images without changing them.

use qemu_argv::BlockFormat;
use qmp_proto::ImageInfo;
use serde::de::DeserializeOwned;

use super::run::{Done, Run};
use super::{CheckReport, Extent, Image, ImageError, Measurement, QemuImg};

/// What [`QemuImg::check`] mends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// Space that belongs to nothing any more. Always safe.
    Leaks,
    /// Everything. Errors that cannot be mended without loss are mended with loss.
    All,
}

/// What [`QemuImg::compare`] found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Comparison {
    /// A guest sees the same content. The formats may differ, and a longer image may end in zeroes.
    Identical,
    /// The contents differ.
    Different,
}

impl QemuImg {
    /// Reads what the image says about itself, and about every image that it rests on: it first, its base last.
    ///
    /// Of an image that a VM has open, this is what was written last, and may change meanwhile.
    ///
    /// # Errors
    ///
    /// [`ImageError::Failed`] if it cannot be read, or is in another format.
    pub async fn info(&self, image: &Image) -> Result<Vec<ImageInfo>, ImageError> {
        let run = Run::new(self, "read", &image.path).args(["-U", "--backing-chain", "--output=json"]);
        decode(&with(run, image)?.done("info").await?, image, "read")
    }

    /// Checks the image's own tables, and mends them if told so.
    ///
    /// # Errors
    ///
    /// [`ImageError::InUse`] while a VM has it open; [`ImageError::Failed`] for a format that has nothing to check, such as raw.
    /// Damage that was found is no error: it is in the result.
    ///
    /// # Cancel safety
    ///
    /// A repair that is dropped leaves the image as it has come; it can be repeated.
    pub async fn check(&self, image: &Image, repair: Option<Repair>) -> Result<CheckReport, ImageError> {
        let mut run = Run::new(self, "check", &image.path).arg("--output=json");
        if let Some(repair) = repair {
            let what = match repair {
                Repair::Leaks => "leaks",
                Repair::All => "all",
            };
            run = run.args(["-r", what]);
        }
        // The exit code tells what was found, too; 1 and 63 are that it was not checked.
        let (action, path) = ("check", image.path.clone());
        let done = with(run, image)?.checked("check", &[0, 2, 3]).await?;
        if done.output.is_empty() {
            return Err(ImageError::Failed { action, path, reason: done.words });
        }
        decode(&done, image, "check")
    }

    /// Tells which parts of the image hold data, in the order of the guest's addresses.
    ///
    /// # Errors
    ///
    /// [`ImageError::Failed`] if it cannot be read, or is in another format.
    pub async fn map(&self, image: &Image) -> Result<Vec<Extent>, ImageError> {
        let run = Run::new(self, "read", &image.path).args(["-U", "--output=json"]);
        decode(&with(run, image)?.done("map").await?, image, "read")
    }

    /// Computes how many bytes a copy of the image in `format` would take.
    ///
    /// # Errors
    ///
    /// [`ImageError::Failed`] if it cannot be read, or the other format cannot be measured (raw, qcow2 and luks can).
    pub async fn measure(&self, image: &Image, format: BlockFormat) -> Result<Measurement, ImageError> {
        let run =
            Run::new(self, "measure", &image.path).args(["-U", "--output=json", "-O", format.qemu_name()]);
        decode(&with(run, image)?.done("measure").await?, image, "measure")
    }

    /// Compares what a guest would read from two images.
    ///
    /// # Errors
    ///
    /// [`ImageError::InUse`] while a VM has one of them open for writing; [`ImageError::Failed`] if one cannot be read.
    pub async fn compare(&self, one: &Image, other: &Image) -> Result<Comparison, ImageError> {
        let opts = one.key.is_some() || other.key.is_some();
        let run = Run::new(self, "compare", &one.path).with_progress();
        let run = if opts {
            run.arg("--image-opts").image(one, "", true)?.image(other, "", true)?
        } else {
            let formats = run.args(["-f", one.format.qemu_name(), "-F", other.format.qemu_name()]);
            formats.arg(super::run::absolute(&one.path)).arg(super::run::absolute(&other.path))
        };
        let done = run.checked("compare", &[0, 1]).await?;
        Ok(if done.status.success() { Comparison::Identical } else { Comparison::Different })
    }
}

/// The run with the one image that it is about.
pub(super) fn with<'a>(run: Run<'a>, image: &Image) -> Result<Run<'a>, ImageError> {
    let opts = image.key.is_some();
    let run = if opts { run.arg("--image-opts") } else { run };
    run.image(image, "-f", opts)
}

fn decode<T: DeserializeOwned>(done: &Done, image: &Image, action: &'static str) -> Result<T, ImageError> {
    serde_json::from_slice(&done.output).map_err(|error| ImageError::Failed {
        action,
        path: image.path.clone(),
        reason: format!("cannot parse the output of qemu-img: {error}"),
    })
}
