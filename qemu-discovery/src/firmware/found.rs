//! Firmware that was found.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

/// A file with its image format.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct ImageFile {
    /// The file.
    pub path: PathBuf,
    /// Its image format: `raw` or `qcow2`.
    pub format: String,
}

impl ImageFile {
    /// A file whose format its name tells: qcow2 if it ends so, else raw.
    pub fn by_name(path: impl Into<PathBuf>) -> Self {
        let path = path.into();
        let format = if path.extension().is_some_and(|ending| ending == "qcow2") { "qcow2" } else { "raw" };
        Self { path, format: format.to_owned() }
    }
}

/// How the firmware is loaded.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Loading {
    /// As read-only flash memory, with the variables in a second flash.
    Flash,
    /// As one flash memory that also contains the variables, so each machine needs its own copy.
    CombinedFlash,
    /// As read-only flash memory; the variables are lost when the machine ends.
    StatelessFlash,
    /// By `-bios`.
    Bios,
    /// By `-kernel`.
    Kernel,
}

/// Suitable firmware.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Firmware {
    /// Its descriptor. `None` if it was found at a known path.
    pub descriptor: Option<PathBuf>,
    /// The code.
    pub code: ImageFile,
    /// The template of the machine's own variables; see [`create_vars`](super::create_vars).
    pub vars_template: Option<ImageFile>,
    /// How it is loaded.
    pub loading: Loading,
    /// Whether it requires System Management Mode: `-machine smm=on` and `-global
    /// driver=cfi.pflash01,property=secure,value=on`. With `smm=off` it hangs without a message.
    pub requires_smm: bool,
    /// Whether it rejects unsigned programs once keys are enrolled.
    pub secure_boot: bool,
    /// Whether the template contains the keys of well-known vendors.
    pub enrolled_keys: bool,
    /// All features in the descriptor.
    pub features: Vec<String>,
}

/// A file that holds nothing but the firmware.
pub(super) fn raw(path: PathBuf) -> ImageFile {
    ImageFile { path, format: "raw".into() }
}

/// Whether the file can be read by the caller.
pub(super) fn readable(path: &Path) -> bool {
    std::fs::File::open(path).is_ok()
}
