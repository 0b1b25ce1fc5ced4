//! Named channels between host and guest over virtio-serial.

use serde::{Deserialize, Serialize};

use super::chardev::CharBackend;
use super::flexible;

/// A virtio-serial port, which the guest finds by its name in `/dev/virtio-ports`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Channel {
    /// The name in the guest, such as `org.example.metrics.0`.
    pub name: String,
    /// The port's id in plans and QMP. Defaults to `channel0`, `channel1`, ….
    #[serde(default)]
    pub id: Option<String>,
    /// Where the data goes. Defaults to a socket that the launcher serves.
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
    /// Makes a channel that the launcher serves.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into(), id: None, backend: CharBackend::Launcher, chardev: None }
    }
}
