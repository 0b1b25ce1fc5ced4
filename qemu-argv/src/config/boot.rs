//! Boot settings.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

/// Boot settings. To set the boot order, prefer the `boot_index` of each device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Boot {
    /// A kernel that QEMU boots directly.
    pub kernel: Option<PathBuf>,
    /// The initial RAM disk of `kernel`.
    pub initrd: Option<PathBuf>,
    /// The command line of `kernel`.
    pub append: Option<String>,
    /// A device tree that replaces the board's own.
    pub dtb: Option<PathBuf>,
    /// Drive letters of the legacy boot order (`a` floppy, `c` disk, `d` CD-ROM, `n` network).
    pub order: Option<String>,
    /// Drive letters for the first boot only.
    pub once: Option<String>,
    /// Whether the firmware shows its boot menu.
    pub menu: Option<bool>,
    /// How long the splash screen or menu is shown, in milliseconds.
    pub splash_time_ms: Option<u16>,
    /// A picture (JPEG or BMP) for the firmware's splash screen.
    pub splash: Option<PathBuf>,
    /// How long the firmware waits before it restarts after a failed boot, in milliseconds.
    pub reboot_timeout_ms: Option<u16>,
    /// Whether the firmware tries only devices that have a boot index.
    pub strict: Option<bool>,
}
