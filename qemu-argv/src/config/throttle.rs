//! I/O limits of disks.

use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;
use super::size::{ParseSizeError, Size};

/// I/O limits of a disk, or of a group of disks that share them.
///
/// Total limits cannot be combined with limits of reads or writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Throttle {
    /// The group. Disks of the same group share its limits; one of them sets the limits, the others only the name.
    /// Defaults to a separate group for the disk.
    pub group: Option<String>,
    /// Bytes per second, reads and writes together.
    #[serde(deserialize_with = "flexible::optional")]
    pub bps: Option<Rate>,
    /// Bytes per second, reads only.
    #[serde(deserialize_with = "flexible::optional")]
    pub bps_read: Option<Rate>,
    /// Bytes per second, writes only.
    #[serde(deserialize_with = "flexible::optional")]
    pub bps_write: Option<Rate>,
    /// Requests per second, reads and writes together.
    #[serde(deserialize_with = "flexible::optional")]
    pub iops: Option<Rate>,
    /// Requests per second, reads only.
    #[serde(deserialize_with = "flexible::optional")]
    pub iops_read: Option<Rate>,
    /// Requests per second, writes only.
    #[serde(deserialize_with = "flexible::optional")]
    pub iops_write: Option<Rate>,
    /// The size in bytes that counts as one request; larger requests count as several. By default each request counts
    /// as one.
    pub iops_size: Option<Size>,
}

/// A limit. In config files, may be given as just the number: `iops = 1000`, `bps = "100MiB"`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// The limit per second.
    pub limit: Size,
    /// The higher limit per second during a burst.
    #[serde(default)]
    pub burst: Option<Size>,
    /// The maximum length of a burst, in seconds. Defaults to 1.
    #[serde(default)]
    pub burst_s: Option<u32>,
}

impl Rate {
    /// Makes a limit without bursts.
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
