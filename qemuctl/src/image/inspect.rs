//! Inspects images.

use qemu_argv::BlockFormat;
use qmp_proto::ImageInfo;
use serde::de::DeserializeOwned;

use super::run::{Done, Run};
use super::{CheckReport, Extent, Image, ImageError, Measurement, QemuImg};

/// What [`QemuImg::check`] repairs.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Repair {
    /// Leaked space. Always safe.
    Leaks,
    /// All errors, including those whose repair loses data.
    All,
}

/// The result of [`QemuImg::compare`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Comparison {
    /// The contents are the same. The formats may differ, and a longer image may end in zeroes.
    Identical,
    /// The contents differ.
    Different,
}

impl QemuImg {
    /// Returns information about the image and its chain of backing files, the image itself first.
    ///
    /// For an image that a VM has open, this is the state on disk, which may change at any time.
    ///
    /// # Errors
    ///
    /// [`ImageError::Failed`] if it cannot be read, or has a different format.
    pub async fn info(&self, image: &Image) -> Result<Vec<ImageInfo>, ImageError> {
        let run = Run::new(self, "read", &image.path).args(["-U", "--backing-chain", "--output=json"]);
        decode(&with(run, image)?.done("info").await?, image, "read")
    }

    /// Checks the image's metadata, and optionally repairs it.
    ///
    /// # Errors
    ///
    /// [`ImageError::InUse`] while a VM has it open; [`ImageError::Failed`] for a format without metadata, such as raw.
    /// Damage is not an error; the result reports it.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped during a repair, the repair is incomplete and can be repeated.
    pub async fn check(&self, image: &Image, repair: Option<Repair>) -> Result<CheckReport, ImageError> {
        let mut run = Run::new(self, "check", &image.path).arg("--output=json");
        if let Some(repair) = repair {
            let what = match repair {
                Repair::Leaks => "leaks",
                Repair::All => "all",
            };
            run = run.args(["-r", what]);
        }
        // The exit code also depends on what was found; 1 and 63 mean that the image was not checked.
        let (action, path) = ("check", image.path.clone());
        let done = with(run, image)?.checked("check", &[0, 2, 3]).await?;
        if done.output.is_empty() {
            return Err(ImageError::Failed { action, path, reason: done.words });
        }
        decode(&done, image, "check")
    }

    /// Returns which parts of the image are allocated, in the order of the guest's addresses.
    ///
    /// # Errors
    ///
    /// [`ImageError::Failed`] if it cannot be read, or has a different format.
    pub async fn map(&self, image: &Image) -> Result<Vec<Extent>, ImageError> {
        let run = Run::new(self, "read", &image.path).args(["-U", "--output=json"]);
        decode(&with(run, image)?.done("map").await?, image, "read")
    }

    /// Computes the size of a copy of the image in `format`.
    ///
    /// # Errors
    ///
    /// [`ImageError::Failed`] if it cannot be read, or the target format does not support this (only raw, qcow2 and
    /// luks do).
    pub async fn measure(&self, image: &Image, format: BlockFormat) -> Result<Measurement, ImageError> {
        let run =
            Run::new(self, "measure", &image.path).args(["-U", "--output=json", "-O", format.qemu_name()]);
        decode(&with(run, image)?.done("measure").await?, image, "measure")
    }

    /// Compares the contents of two images.
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
