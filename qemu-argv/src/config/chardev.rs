//! Character devices: where the bytes of serial ports, consoles and channels go.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::address::SocketAddress;
use super::flexible;

/// A character device that others refer to by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Chardev {
    /// The name that serial ports, consoles and channels refer to.
    pub id: String,
    /// Where the bytes go. In files also just a kind that needs nothing else, such as `"stdio"`.
    #[serde(deserialize_with = "flexible::one")]
    pub backend: CharBackend,
    /// A file that keeps a copy of everything the guest sends.
    #[serde(default)]
    pub log: Option<PathBuf>,
    /// Whether `log` is appended to. Left out: it is emptied first.
    #[serde(default)]
    pub log_append: bool,
    /// Whether several front ends share it (Ctrl-A C switches).
    #[serde(default)]
    pub mux: bool,
}

impl Chardev {
    /// A character device without a log.
    pub fn new(id: impl Into<String>, backend: CharBackend) -> Self {
        Self { id: id.into(), backend, log: None, log_append: false, mux: false }
    }
}

/// Where the bytes of a character device go.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum CharBackend {
    /// A Unix socket that the launcher names and listens to. Without a launcher: nowhere.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Launcher,
    /// Nowhere.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Null,
    /// QEMU's standard input and output.
    Stdio {
        /// Whether Ctrl-C ends QEMU. Left out: yes.
        #[serde(default)]
        signal: Option<bool>,
    },
    /// A pseudo-terminal of the host; QMP tells which.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Pty,
    /// A file.
    File {
        /// The file.
        path: PathBuf,
        /// Whether it is appended to. Left out: it is emptied first.
        #[serde(default)]
        append: bool,
    },
    /// A named pipe, or the two pipes `PATH.in` and `PATH.out`.
    Pipe {
        /// The pipe.
        path: PathBuf,
    },
    /// A stream socket.
    Socket {
        /// The address. In files also `HOST:PORT` or an absolute path.
        #[serde(deserialize_with = "flexible::one")]
        address: SocketAddress,
        /// Whether QEMU listens instead of connecting.
        #[serde(default)]
        server: bool,
        /// Whether QEMU waits for a client before the machine starts. Only for servers.
        #[serde(default)]
        wait: bool,
        /// How long a client waits before it connects again, in milliseconds. Whole seconds before QEMU 9.2.
        #[serde(default)]
        reconnect_ms: Option<u32>,
        /// Whether it speaks telnet.
        #[serde(default)]
        telnet: bool,
        /// Whether it speaks WebSocket. Only for servers.
        #[serde(default)]
        websocket: bool,
        /// The id of TLS credentials. Left out: no TLS.
        #[serde(default)]
        tls: Option<String>,
    },
    /// Datagrams.
    Udp {
        /// The other end.
        #[serde(deserialize_with = "flexible::one")]
        remote: SocketAddress,
        /// Our end.
        #[serde(default, deserialize_with = "flexible::optional")]
        local: Option<SocketAddress>,
    },
    /// A buffer in memory that QMP reads and writes.
    Ringbuf {
        /// Its size, a power of two. Left out: 64 KiB.
        #[serde(default)]
        size: Option<super::Size>,
    },
    /// A serial port of the host.
    Serial {
        /// The port, such as `/dev/ttyS0`.
        path: PathBuf,
    },
    /// A parallel port of the host.
    Parallel {
        /// The port, such as `/dev/parport0`.
        path: PathBuf,
    },
    /// A text console in QEMU's window.
    Vc {
        /// Columns. Left out: 80.
        #[serde(default)]
        columns: Option<u32>,
        /// Rows. Left out: 24.
        #[serde(default)]
        rows: Option<u32>,
    },
    /// A SPICE channel of a fixed kind: `vdagent`, `usbredir` or `smartcard`.
    Spicevmc {
        /// The kind.
        name: String,
    },
    /// A SPICE channel of one's own.
    Spiceport {
        /// Its name, in reversed DNS form.
        name: String,
    },
    /// The clipboard agent inside QEMU, for VNC, GTK and D-Bus displays.
    QemuVdagent {
        /// Whether the clipboard is shared.
        #[serde(default)]
        clipboard: bool,
        /// Whether the agent moves the pointer.
        #[serde(default)]
        mouse: Option<bool>,
    },
    /// A D-Bus display's channel.
    Dbus {
        /// Its name.
        name: String,
    },
    /// A serial mouse.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Msmouse,
    /// A Wacom tablet.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Wctablet,
    /// A Braille display of the host.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Braille,
    /// A test device.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Testdev,
    /// Up to four others at once: what the guest sends goes to all, what any of them sends to the guest (QEMU ≥ 10.0).
    Hub {
        /// The ids of character devices of `chardevs`, above this one.
        chardevs: Vec<String>,
    },
}

impl CharBackend {
    /// A Unix socket that QEMU connects to.
    pub fn unix_client(path: impl Into<PathBuf>) -> Self {
        Self::Socket {
            address: SocketAddress::Unix { path: path.into() },
            server: false,
            wait: false,
            reconnect_ms: None,
            telnet: false,
            websocket: false,
            tls: None,
        }
    }

    /// What a word alone says.
    const SHORT: [(&str, Self); 10] = [
        ("launcher", Self::Launcher),
        ("null", Self::Null),
        ("stdio", Self::Stdio { signal: None }),
        ("pty", Self::Pty),
        ("ringbuf", Self::Ringbuf { size: None }),
        ("vc", Self::Vc { columns: None, rows: None }),
        ("msmouse", Self::Msmouse),
        ("wctablet", Self::Wctablet),
        ("braille", Self::Braille),
        ("testdev", Self::Testdev),
    ];
}

impl FromStr for CharBackend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        flexible::word("a character device", &Self::SHORT, text)
    }
}

impl flexible::Short for CharBackend {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema::words(Self::SHORT.iter().map(|(word, _)| *word))
    }
}
