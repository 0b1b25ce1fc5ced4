//! Serial ports.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::chardev::CharBackend;
use super::flexible;

/// A serial port. In files also just where its bytes go: `serials = ["stdio"]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields, default)]
pub struct Serial {
    /// The name of the port in plans and QMP. Left out: `serial0`, `serial1`, ….
    pub id: Option<String>,
    /// The device the guest sees.
    pub device: SerialDevice,
    /// Where the bytes go. In files also just a kind that needs nothing else, such as `"stdio"`.
    #[serde(deserialize_with = "flexible::one")]
    pub backend: CharBackend,
    /// The id of a character device of `chardevs` to use instead of `backend`.
    pub chardev: Option<String>,
    /// A file to which QEMU appends everything that the guest sends, whoever is connected to the port. Default: none.
    pub log: Option<PathBuf>,
}

impl Default for Serial {
    fn default() -> Self {
        Self::new(CharBackend::Launcher)
    }
}

impl Serial {
    /// A port of the board whose bytes go there.
    pub fn new(backend: CharBackend) -> Self {
        Self { id: None, device: SerialDevice::Board, backend, chardev: None, log: None }
    }
}

impl FromStr for Serial {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        text.parse().map(Self::new)
    }
}

impl flexible::Short for Serial {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        CharBackend::short_schema()
    }
}

/// The device of a serial port.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SerialDevice {
    /// A port of the board itself: COM1 to COM4 on x86, the UART on `virt`, SCLP on s390x.
    #[default]
    Board,
    /// A PCI card.
    Pci,
    /// A USB adapter.
    Usb,
    /// A virtio console: fast, and there on every machine with virtio.
    Virtio,
}
