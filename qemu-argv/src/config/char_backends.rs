//! The settings of each kind of character device.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::address::SocketAddress;
use super::flexible;
use super::size::Size;

/// QEMU's standard input and output. Since the launcher uses these itself, it serves such a serial port, which `run`
/// shows on the terminal; other uses are refused.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct StdioChardev {
    /// Whether Ctrl-C ends QEMU. Defaults to true.
    pub signal: Option<bool>,
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct FileChardev {
    /// The file.
    pub path: PathBuf,
    /// Whether to append to the file. By default it is truncated.
    #[serde(default)]
    pub append: bool,
}

impl FileChardev {
    /// Makes one from the required fields, with defaults for the others.
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
    /// Makes one from the required fields.
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
    /// The address. In config files, may be given as `HOST:PORT` or an absolute path.
    #[serde(deserialize_with = "flexible::one")]
    pub address: SocketAddress,
    /// Whether QEMU listens instead of connecting.
    #[serde(default)]
    pub server: bool,
    /// Whether QEMU waits for a client before the machine starts. Only for servers.
    #[serde(default)]
    pub wait: bool,
    /// The delay before a client reconnects, in milliseconds. Only whole seconds before QEMU 9.2.
    #[serde(default)]
    pub reconnect_ms: Option<u32>,
    /// Whether to use the telnet protocol.
    #[serde(default)]
    pub telnet: bool,
    /// Whether to use the WebSocket protocol. Only for servers.
    #[serde(default)]
    pub websocket: bool,
    /// The id of TLS credentials. Defaults to no TLS.
    #[serde(default)]
    pub tls: Option<String>,
}

impl SocketChardev {
    /// Makes one from the required fields, with defaults for the others.
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

/// A datagram socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UdpChardev {
    /// The remote address.
    #[serde(deserialize_with = "flexible::one")]
    pub remote: SocketAddress,
    /// The local address.
    #[serde(default, deserialize_with = "flexible::optional")]
    pub local: Option<SocketAddress>,
}

impl UdpChardev {
    /// Makes one from the required fields, with defaults for the others.
    pub fn new(remote: SocketAddress) -> Self {
        Self { remote, local: None }
    }
}

/// A ring buffer in memory, read and written over QMP.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct RingbufChardev {
    /// The size, a power of two. Defaults to 64 KiB.
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
    /// Makes one from the required fields.
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
    /// Makes one from the required fields.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into() }
    }
}

/// A text console in QEMU's window.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct VcChardev {
    /// Columns. Defaults to 80.
    pub columns: Option<u32>,
    /// Rows. Defaults to 24.
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
    /// Makes one from the required fields.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// A SPICE channel with a custom name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct SpiceportChardev {
    /// Its name, in reversed DNS form.
    pub name: String,
}

impl SpiceportChardev {
    /// Makes one from the required fields.
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
    /// Whether pointer positions are sent through the agent.
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
    /// Makes one from the required fields.
    pub fn new(name: impl Into<String>) -> Self {
        Self { name: name.into() }
    }
}

/// Up to four other character devices: the guest's output goes to all of them, and input is accepted from each (QEMU
/// 10.0 or later).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct HubChardev {
    /// The ids of character devices in `chardevs`, listed before this one.
    pub chardevs: Vec<String>,
}

impl HubChardev {
    /// Makes one from the required fields.
    pub fn new(chardevs: Vec<String>) -> Self {
        Self { chardevs }
    }
}
