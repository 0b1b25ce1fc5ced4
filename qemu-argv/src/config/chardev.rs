//! Character devices: where the bytes of serial ports, consoles and channels go.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::address::SocketAddress;
use super::char_backends::{
    DbusChardev, FileChardev, HubChardev, ParallelChardev, PipeChardev, RingbufChardev, SerialChardev,
    SocketChardev, SpiceportChardev, SpicevmcChardev, StdioChardev, UdpChardev, VcChardev, VdagentChardev,
};
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
    /// QEMU's standard input and output. The launcher has these for itself: there a serial port becomes one that it serves,
    /// which `run` shows on its own terminal, and anything else is refused.
    Stdio(StdioChardev),
    /// A pseudo-terminal of the host; QMP tells which.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Pty,
    /// A file.
    File(FileChardev),
    /// A named pipe, or the two pipes `PATH.in` and `PATH.out`.
    Pipe(PipeChardev),
    /// A stream socket.
    Socket(SocketChardev),
    /// Datagrams.
    Udp(UdpChardev),
    /// A buffer in memory that QMP reads and writes.
    Ringbuf(RingbufChardev),
    /// A serial port of the host.
    Serial(SerialChardev),
    /// A parallel port of the host.
    Parallel(ParallelChardev),
    /// A text console in QEMU's window.
    Vc(VcChardev),
    /// A SPICE channel of a fixed kind: `vdagent`, `usbredir` or `smartcard`.
    Spicevmc(SpicevmcChardev),
    /// A SPICE channel of one's own.
    Spiceport(SpiceportChardev),
    /// The clipboard agent inside QEMU, for VNC, GTK and D-Bus displays.
    QemuVdagent(VdagentChardev),
    /// A D-Bus display's channel.
    Dbus(DbusChardev),
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
    Hub(HubChardev),
}

impl CharBackend {
    /// A Unix socket that QEMU connects to.
    pub fn unix_client(path: impl Into<PathBuf>) -> Self {
        Self::Socket(SocketChardev::new(SocketAddress::unix(path)))
    }

    /// What a word alone says.
    const SHORT: [(&str, Self); 10] = [
        ("launcher", Self::Launcher),
        ("null", Self::Null),
        ("stdio", Self::Stdio(StdioChardev { signal: None })),
        ("pty", Self::Pty),
        ("ringbuf", Self::Ringbuf(RingbufChardev { size: None })),
        ("vc", Self::Vc(VcChardev { columns: None, rows: None })),
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
        crate::schema_forms::words(Self::SHORT.iter().map(|(word, _)| *word))
    }
}
