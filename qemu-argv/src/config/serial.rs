//! Serial ports.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::chardev::CharBackend;
use super::flexible;

/// A serial port. In config files, may be given as just its backend: `serials = ["stdio"]`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields, default)]
pub struct Serial {
    /// The port's id in plans and QMP. Defaults to `serial0`, `serial1`, ….
    pub id: Option<String>,
    /// The device that the guest sees.
    pub device: SerialDevice,
    /// Where the data goes. In config files, a backend without settings may be given as one word, such as `"stdio"`.
    #[serde(deserialize_with = "flexible::one")]
    pub backend: CharBackend,
    /// The id of a character device of `chardevs` to use instead of `backend`.
    pub chardev: Option<String>,
    /// A file to which QEMU appends the guest's output, independently of who is connected to the port. Defaults to
    /// none.
    pub log: Option<PathBuf>,
}

impl Default for Serial {
    fn default() -> Self {
        Self::new(CharBackend::Launcher)
    }
}

impl Serial {
    /// Makes a port of the board with this backend.
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
    /// A virtio console: fast, and available on all machines with virtio.
    Virtio,
}
