//! Small devices by which a guest tells that it panicked, learns that it was cloned, or ends QEMU.

use serde::{Deserialize, Serialize};

/// The device by which a guest tells that it panicked.
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

/// A port by which a guest ends QEMU with an exit code (x86): writing `n` ends it with `2n + 1`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct DebugExit {
    /// The I/O port.
    pub port: u16,
    /// How many ports there are.
    pub size: u16,
}

impl Default for DebugExit {
    fn default() -> Self {
        Self { port: 0x501, size: 2 }
    }
}
