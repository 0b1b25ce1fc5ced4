//! Where to provide QEMU's monitors, consoles and the agent.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Where to provide QEMU's monitors, consoles and the agent. Defaults to nowhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
pub struct Endpoints {
    /// The file descriptor in QEMU that is a connected socket for QMP. The machine then starts paused (`-S`): the
    /// launcher connects everything first and starts it with `cont`.
    pub qmp_fd: Option<u32>,
    /// File descriptors in QEMU that all refer to one socket, which the launcher has bound to `NAME.sock` in
    /// [`socket_dir`](Self::socket_dir). QEMU listens on each of them, so it serves as many QMP clients at a time as
    /// there are file descriptors. If empty, QEMU creates the socket itself and serves one client at a time.
    ///
    /// The socket must be non-blocking, since QEMU's listeners race for each connection, and those that lose must not
    /// block.
    pub monitor_fds: Vec<u32>,
    /// The directory of the sockets that QEMU listens on: `NAME.sock` (QMP), `NAME.console0.sock`, `NAME.agent.sock`.
    pub socket_dir: Option<PathBuf>,
}
