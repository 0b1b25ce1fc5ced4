//! Character devices: the host's side of serial ports, consoles and channels.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::address::SocketAddress;
use super::char_backends::{
    DbusChardev, FileChardev, HubChardev, ParallelChardev, PipeChardev, RingbufChardev, SerialChardev,
    SocketChardev, SpiceportChardev, SpicevmcChardev, StdioChardev, UdpChardev, VcChardev, VdagentChardev,
};
use super::flexible;

/// A character device that other parts refer to by its id.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Chardev {
    /// The id that serial ports, consoles and channels refer to.
    pub id: String,
    /// Where the data goes. In config files, a backend without settings may be given as one word, such as `"stdio"`.
    #[serde(deserialize_with = "flexible::one")]
    pub backend: CharBackend,
    /// A file to which all output of the guest is copied.
    #[serde(default)]
    pub log: Option<PathBuf>,
    /// Whether to append to `log`. By default it is truncated.
    #[serde(default)]
    pub log_append: bool,
    /// Whether several front ends share it (Ctrl-A C switches between them).
    #[serde(default)]
    pub mux: bool,
}

impl Chardev {
    /// Makes a character device without a log.
    pub fn new(id: impl Into<String>, backend: CharBackend) -> Self {
        Self { id: id.into(), backend, log: None, log_append: false, mux: false }
    }
}

/// Where the data of a character device goes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum CharBackend {
    /// A Unix socket that the launcher provides. Without a launcher, the data is discarded.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Launcher,
    /// Data is discarded.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Null,
    /// QEMU's standard input and output. Since the launcher uses these itself, it serves such a serial port, which
    /// `run` shows on the terminal; other uses are refused.
    Stdio(StdioChardev),
    /// A pseudo-terminal of the host; QMP reports its name.
    #[serde(deserialize_with = "flexible::nothing_more")]
    Pty,
    /// A file.
    File(FileChardev),
    /// A named pipe, or the two pipes `PATH.in` and `PATH.out`.
    Pipe(PipeChardev),
    /// A stream socket.
    Socket(SocketChardev),
    /// A datagram socket.
    Udp(UdpChardev),
    /// A ring buffer in memory, read and written over QMP.
    Ringbuf(RingbufChardev),
    /// A serial port of the host.
    Serial(SerialChardev),
    /// A parallel port of the host.
    Parallel(ParallelChardev),
    /// A text console in QEMU's window.
    Vc(VcChardev),
    /// A SPICE channel of a fixed kind: `vdagent`, `usbredir` or `smartcard`.
    Spicevmc(SpicevmcChardev),
    /// A SPICE channel with a custom name.
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
    /// Up to four other character devices: the guest's output goes to all of them, and input is accepted from each
    /// (QEMU 10.0 or later).
    Hub(HubChardev),
}

impl CharBackend {
    /// A Unix socket that QEMU connects to.
    pub fn unix_client(path: impl Into<PathBuf>) -> Self {
        Self::Socket(SocketChardev::new(SocketAddress::unix(path)))
    }

    /// Parses the short form, a single word.
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
        if text == "none" {
            return Err("\"none\" is not a character device: `null` discards the data, and `serials = []` means no serial port".into());
        }
        flexible::word("a character device", &Self::SHORT, text)
    }
}

impl flexible::Short for CharBackend {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::words(Self::SHORT.iter().map(|(word, _)| *word))
    }
}
