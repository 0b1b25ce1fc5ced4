//! Where the launcher wants QEMU's monitors, consoles and the agent.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where the launcher wants QEMU's monitors, consoles and the agent. Default: nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Endpoints {
    /// The descriptor in QEMU that is a connected socket for QMP. The machine then starts frozen (`-S`): the
    /// launcher connects everything first and lets it run with `cont`.
    pub qmp_fd: Option<u32>,
    /// Descriptors in QEMU that all refer to one socket, which the launcher has bound to `NAME.sock` in
    /// [`socket_dir`](Self::socket_dir). QEMU listens on each of them, so it serves as many QMP clients at a time as
    /// there are descriptors. None: QEMU makes the socket itself and serves one client at a time.
    ///
    /// The socket must be non-blocking: QEMU's listeners race for each connection, and those that lose must not wait.
    pub monitor_fds: Vec<u32>,
    /// The directory for the sockets that QEMU listens to: `NAME.sock` (QMP), `NAME.console0.sock`, `NAME.agent.sock`.
    pub socket_dir: Option<PathBuf>,
}
