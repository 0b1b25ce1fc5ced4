//! Named channels between host and guest over virtio-serial.

use serde::{Deserialize, Serialize};

use super::chardev::CharBackend;
use super::flexible;

/// A port of virtio-serial, which the guest finds by its name under `/dev/virtio-ports`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// The name the guest finds it by, such as `org.example.metrics.0`.
    pub name: String,
    /// The name of the port in plans and QMP. Left out: `channel0`, `channel1`, ….
    #[serde(default)]
    pub id: Option<String>,
    /// Where the bytes go. Left out: a socket that the launcher serves.
    #[serde(default = "launcher", deserialize_with = "flexible::one")]
    pub backend: CharBackend,
    /// The id of a character device of `chardevs` to use instead of `backend`.
    #[serde(default)]
    pub chardev: Option<String>,
}

const fn launcher() -> CharBackend {
    CharBackend::Launcher
}

impl Channel {
    /// A channel that the launcher serves.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), id: None, backend: CharBackend::Launcher, chardev: None }
    }
}
