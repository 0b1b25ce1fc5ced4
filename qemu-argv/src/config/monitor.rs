//! Monitors for other programs and for people.

use serde::{Deserialize, Serialize};

use super::chardev::CharBackend;
use super::flexible;

/// A further monitor (`-monitor`, `-qmp`). The launcher has its own ones, which `qemuctl qmp` and `qemuctl hmp` use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Monitor {
    /// What is spoken there.
    pub mode: MonitorMode,
    /// Where it is. A QMP monitor that connects to another program is a socket without `server`. Whoever can use it controls QEMU, so
    /// prefer a Unix socket in a private directory.
    #[serde(deserialize_with = "flexible::one")]
    pub backend: CharBackend,
    /// The id of a character device of `chardevs` to use instead of `backend`. With `mux`, a serial port can share it (Ctrl-A C switches
    /// between them).
    pub chardev: Option<String>,
    /// Whether QMP is formatted for people (`pretty`).
    pub pretty: bool,
}

impl Default for Monitor {
    fn default() -> Self {
        Self::new(CharBackend::Null)
    }
}

impl Monitor {
    /// Makes a human monitor at this place.
    pub fn new(backend: CharBackend) -> Self {
        Self { mode: MonitorMode::default(), backend, chardev: None, pretty: false }
    }
}

/// What a monitor speaks.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum MonitorMode {
    /// The human monitor protocol: commands typed by people.
    #[default]
    Hmp,
    /// QMP: JSON for programs.
    Qmp,
}
