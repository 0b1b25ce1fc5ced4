//! QEMU threads that serve disks outside the main loop.

use std::convert::Infallible;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;

/// A thread that disks can use. In config files, may be given as just its id: `iothreads = ["io0"]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields)]
pub struct Iothread {
    /// The id that disks refer to.
    pub id: String,
    /// The longest time of busy polling, in nanoseconds; 0 turns it off. Defaults to 32768.
    #[serde(default)]
    pub poll_max_ns: Option<u32>,
    /// The minimum number of threads in its pool.
    #[serde(default)]
    pub pool_min: Option<u16>,
    /// The maximum number of threads in its pool.
    #[serde(default)]
    pub pool_max: Option<u16>,
}

impl Iothread {
    /// Makes an iothread with QEMU's defaults.
    pub fn new(id: impl Into<String>) -> Self {
        Self { id: id.into(), poll_max_ns: None, pool_min: None, pool_max: None }
    }
}

impl FromStr for Iothread {
    type Err = Infallible;

    fn from_str(id: &str) -> Result<Self, Infallible> {
        Ok(Self::new(id))
    }
}

impl flexible::Short for Iothread {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::text()
    }
}
