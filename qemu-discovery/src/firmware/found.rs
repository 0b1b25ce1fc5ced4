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

/// How the firmware gets into the machine.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Loading {
    /// As flash memory, read-only, with the variables in a second flash.
    Flash,
    /// As one flash memory that holds the variables too, so each machine needs its own copy of the whole.
    CombinedFlash,
    /// As flash memory, read-only; variables do not outlive the machine.
    StatelessFlash,
    /// By `-bios`.
    Bios,
    /// By `-kernel`.
    Kernel,
}

/// Firmware that fits.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Firmware {
    /// The descriptor that told of it. `None`: it was found at a known path.
    pub descriptor: Option<PathBuf>,
    /// The code.
    pub code: ImageFile,
    /// Where the machine's own variables start from; see [`create_vars`](super::create_vars).
    pub vars_template: Option<ImageFile>,
    /// How it gets into the machine.
    pub loading: Loading,
    /// Whether it works only with System Management Mode: `-machine smm=on` and `-global
    /// driver=cfi.pflash01,property=secure,value=on`. With `smm=off` it hangs without a word.
    pub requires_smm: bool,
    /// Whether it refuses unsigned programs once keys are enrolled.
    pub secure_boot: bool,
    /// Whether the keys of well-known vendors are in the template.
    pub enrolled_keys: bool,
    /// All features, as the descriptor has them.
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
