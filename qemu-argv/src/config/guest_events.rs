//! Small devices by which a guest reports a panic, detects that it was cloned, or ends QEMU.

use serde::{Deserialize, Serialize};

/// The device by which a guest reports a panic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Pvpanic {
    /// On the ISA bus (x86).
    Isa,
    /// On the PCI bus.
    Pci,
    /// None.
    None,
}

/// A port by which a guest ends QEMU (x86): writing `n` makes QEMU exit with code `2n + 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DebugExit {
    /// The I/O port.
    pub port: u16,
    /// The number of ports.
    pub size: u16,
}

impl Default for DebugExit {
    fn default() -> Self {
        Self { port: 0x501, size: 2 }
    }
}
