//! A Trusted Platform Module.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// A TPM that a helper such as `swtpm` emulates.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Tpm {
    /// The helper's control socket. The helper must listen when QEMU starts.
    pub socket: PathBuf,
    /// The model. Defaults to TIS.
    #[serde(default)]
    pub model: TpmModel,
}

impl Tpm {
    /// Makes a TPM that `swtpm` serves on this socket.
    pub fn new(socket: impl Into<PathBuf>) -> Self {
        Self { socket: socket.into(), model: TpmModel::default() }
    }
}

/// The model of a TPM.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TpmModel {
    /// TIS: `tpm-tis` on x86, `tpm-tis-device` on Arm.
    #[default]
    Tis,
    /// CRB (x86).
    Crb,
    /// The one of `pseries`.
    Spapr,
}
