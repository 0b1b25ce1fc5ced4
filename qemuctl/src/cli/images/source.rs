//! The image arguments.

use std::path::PathBuf;

use clap::ValueHint;
use clap_complete::ArgValueCandidates;
use qemu_argv::BlockFormat;
use qemuctl::SecretSource;
use qemuctl::image::Image;
use serde::de::DeserializeOwned;

use super::super::failure::Failure;

/// An existing image.
#[derive(clap::Args, Clone, Debug)]
pub(super) struct Source {
    /// Image
    #[arg(value_hint = ValueHint::FilePath)]
    pub(super) image: PathBuf,

    /// Image format, such as raw or qcow2 [default: by file name extension]
    #[arg(long, value_parser = word::<BlockFormat>, add = ArgValueCandidates::new(|| super::super::complete::values("disks.format")))]
    format: Option<BlockFormat>,

    /// File with the passphrase of an encrypted image
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    key_file: Option<PathBuf>,
}

impl Source {
    pub(super) fn image(&self) -> Result<Image, Failure> {
        image(&self.image, self.format, self.key_file.as_ref())
    }
}

pub(super) fn image(
    path: &PathBuf,
    format: Option<BlockFormat>,
    key: Option<&PathBuf>,
) -> Result<Image, Failure> {
    let image = match format {
        Some(format) => Image::new(path, format),
        None => Image::by_name(path)?,
    };
    Ok(match key {
        Some(file) => image.with_key(SecretSource::File(file.clone())),
        None => image,
    })
}

pub(super) fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}
