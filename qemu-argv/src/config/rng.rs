//! A source of randomness for the guest.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::flexible;
use super::size::Size;
use crate::topology::Address;
use crate::value::Props;

/// A virtio random number generator.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Rng {
    /// Where the randomness comes from.
    pub source: RngSource,
    /// The number of bytes that the guest may read in each `period_ms`. Defaults to no limit.
    pub max_bytes: Option<Size>,
    /// The period of `max_bytes`, in milliseconds. Defaults to 65536.
    pub period_ms: Option<u32>,
    /// The address (PCI, channel I/O or memory-mapped slot). Defaults to an address chosen by the plan.
    pub address: Option<Address>,
    /// Additional properties of the device, passed on unchanged.
    pub properties: Props,
}

/// Where randomness comes from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum RngSource {
    /// The host's `getrandom`.
    #[default]
    #[serde(deserialize_with = "flexible::nothing_more")]
    Builtin,
    /// A device of the host, such as `/dev/urandom`.
    Random(RandomSource),
}

/// A device of the host, such as `/dev/urandom`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct RandomSource {
    /// The device.
    pub path: PathBuf,
}

impl RandomSource {
    /// Makes one from the required fields.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}
