//! Limits of disk throughput.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;
use super::size::{ParseSizeError, Size};

/// Limits of a disk, or of a group of disks that share them.
///
/// `total` limits exclude the limits of reads and writes alone.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Throttle {
    /// The group. Disks of the same group share its limits; one of them gives the limits, the others just the name.
    /// Left out: a group of the disk's own.
    pub group: Option<String>,
    /// Bytes a second, reads and writes together.
    #[serde(deserialize_with = "flexible::optional")]
    pub bps: Option<Rate>,
    /// Bytes a second, reads.
    #[serde(deserialize_with = "flexible::optional")]
    pub bps_read: Option<Rate>,
    /// Bytes a second, writes.
    #[serde(deserialize_with = "flexible::optional")]
    pub bps_write: Option<Rate>,
    /// Requests a second, reads and writes together.
    #[serde(deserialize_with = "flexible::optional")]
    pub iops: Option<Rate>,
    /// Requests a second, reads.
    #[serde(deserialize_with = "flexible::optional")]
    pub iops_read: Option<Rate>,
    /// Requests a second, writes.
    #[serde(deserialize_with = "flexible::optional")]
    pub iops_write: Option<Rate>,
    /// The size in bytes that counts as one request; larger requests count as several. Left out: all count as one.
    pub iops_size: Option<Size>,
}

/// One limit. In files also just the number: `iops = 1000`, `bps = "100MiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// The limit, a second.
    pub limit: Size,
    /// The higher limit while a burst lasts, a second.
    #[serde(default)]
    pub burst: Option<Size>,
    /// How long a burst may last, in seconds. Left out: 1.
    #[serde(default)]
    pub burst_s: Option<u32>,
}

impl Rate {
    /// A limit without bursts.
    pub const fn new(per_second: u64) -> Self {
        Self { limit: Size::bytes(per_second), burst: None, burst_s: None }
    }
}

impl FromStr for Rate {
    type Err = ParseSizeError;

    fn from_str(text: &str) -> Result<Self, ParseSizeError> {
        text.parse().map(|limit: Size| Self::new(limit.to_bytes()))
    }
}

impl flexible::Short for Rate {
    fn from_number(number: u64) -> Result<Self, String> {
        Ok(Self::new(number))
    }

    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::size()
    }
}
