//! Boot settings.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;

/// Boot settings. To set the boot order, prefer the `boot_index` of each device.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Boot {
    /// A kernel that QEMU boots directly.
    pub kernel: Option<PathBuf>,
    /// The initial RAM disk of `kernel`.
    pub initrd: Option<PathBuf>,
    /// Modules of a multiboot `kernel` (x86), each with its arguments, instead of `initrd`. In config files, an entry may be just a path.
    #[serde(deserialize_with = "flexible::list")]
    pub modules: Vec<BootModule>,
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
    /// Variables of the firmware's non-volatile memory, such as `"auto-boot?" = "true"` (`-prom-env`; SPARC and PowerPC).
    pub prom_env: BTreeMap<String, String>,
    /// The screen at boot as `WIDTHxHEIGHTxDEPTH` in pixels and bits (`-g`; SPARC, PowerPC and m68k). Defaults to the board's.
    pub resolution: Option<String>,
}

/// A module of a multiboot kernel. In config files, may be given as just its path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields)]
pub struct BootModule {
    /// The file. QEMU takes no path with a space here.
    pub path: PathBuf,
    /// The module's command line. Defaults to none.
    #[serde(default)]
    pub args: Option<String>,
}

impl BootModule {
    /// Makes a module without arguments.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), args: None }
    }
}

impl FromStr for BootModule {
    type Err = std::convert::Infallible;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        Ok(Self::new(path))
    }
}

impl flexible::Short for BootModule {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::text()
    }
}
