//! What each kind of character device is told.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::address::SocketAddress;
use super::flexible;
use super::size::Size;

/// QEMU's standard input and output. The launcher has these for itself: there a serial port becomes one that it serves,
/// which `run` shows on its own terminal, and anything else is refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct StdioChardev {
    /// Whether Ctrl-C ends QEMU. Left out: yes.
    pub signal: Option<bool>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FileChardev {
    /// The file.
    pub path: PathBuf,
    /// Whether it is appended to. Left out: it is emptied first.
    #[serde(default)]
    pub append: bool,
}

impl FileChardev {
    /// With what it cannot do without; the rest as when left out of a file.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), append: false }
    }
}

/// A named pipe, or the two pipes `PATH.in` and `PATH.out`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct PipeChardev {
    /// The pipe.
    pub path: PathBuf,
}

impl PipeChardev {
    /// With what it cannot do without.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// A stream socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of QEMU of its own")]
pub struct SocketChardev {
    /// The address. In files also `HOST:PORT` or an absolute path.
    #[serde(deserialize_with = "flexible::one")]
    pub address: SocketAddress,
    /// Whether QEMU listens instead of connecting.
    #[serde(default)]
    pub server: bool,
    /// Whether QEMU waits for a client before the machine starts. Only for servers.
    #[serde(default)]
    pub wait: bool,
    /// How long a client waits before it connects again, in milliseconds. Whole seconds before QEMU 9.2.
    #[serde(default)]
    pub reconnect_ms: Option<u32>,
    /// Whether it speaks telnet.
    #[serde(default)]
    pub telnet: bool,
    /// Whether it speaks WebSocket. Only for servers.
    #[serde(default)]
    pub websocket: bool,
    /// The id of TLS credentials. Left out: no TLS.
    #[serde(default)]
    pub tls: Option<String>,
}

impl SocketChardev {
    /// With what it cannot do without; the rest as when left out of a file.
    pub fn new(address: SocketAddress) -> Self {
        Self {
            address,
            server: false,
            wait: false,
            reconnect_ms: None,
            telnet: false,
            websocket: false,
            tls: None,
        }
    }
}

/// Datagrams.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UdpChardev {
    /// The other end.
    #[serde(deserialize_with = "flexible::one")]
    pub remote: SocketAddress,
    /// Our end.
    #[serde(default, deserialize_with = "flexible::optional")]
    pub local: Option<SocketAddress>,
}

impl UdpChardev {
    /// With what it cannot do without; the rest as when left out of a file.
    pub fn new(remote: SocketAddress) -> Self {
        Self { remote, local: None }
    }
}

/// A buffer in memory that QMP reads and writes.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RingbufChardev {
    /// Its size, a power of two. Left out: 64 KiB.
    pub size: Option<Size>,
}

/// A serial port of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SerialChardev {
    /// The port, such as `/dev/ttyS0`.
    pub path: PathBuf,
}

impl SerialChardev {
    /// With what it cannot do without.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// A parallel port of the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ParallelChardev {
    /// The port, such as `/dev/parport0`.
    pub path: PathBuf,
}

impl ParallelChardev {
    /// With what it cannot do without.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// A text console in QEMU's window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct VcChardev {
    /// Columns. Left out: 80.
    pub columns: Option<u32>,
    /// Rows. Left out: 24.
    pub rows: Option<u32>,
}

/// A SPICE channel of a fixed kind: `vdagent`, `usbredir` or `smartcard`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SpicevmcChardev {
    /// The kind.
    pub name: String,
}

impl SpicevmcChardev {
    /// With what it cannot do without.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// A SPICE channel of one's own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SpiceportChardev {
    /// Its name, in reversed DNS form.
    pub name: String,
}

impl SpiceportChardev {
    /// With what it cannot do without.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// The clipboard agent inside QEMU, for VNC, GTK and D-Bus displays.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct VdagentChardev {
    /// Whether the clipboard is shared.
    pub clipboard: bool,
    /// Whether the agent moves the pointer.
    pub mouse: Option<bool>,
}

/// A D-Bus display's channel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DbusChardev {
    /// Its name.
    pub name: String,
}

impl DbusChardev {
    /// With what it cannot do without.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// Up to four others at once: what the guest sends goes to all, what any of them sends to the guest (QEMU ≥ 10.0).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HubChardev {
    /// The ids of character devices of `chardevs`, above this one.
    pub chardevs: Vec<String>,
}

impl HubChardev {
    /// With what it cannot do without.
    pub fn new(chardevs: Vec<String>) -> Self {
        Self { chardevs }
    }
}
