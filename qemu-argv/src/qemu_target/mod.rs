//! The QEMU that a plan is made for: version, architecture and accelerator.

mod arch;
mod cpu;
mod drivers;
mod version;

use std::collections::BTreeMap;
use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

pub use arch::{Arch, ParseArchError};
pub use cpu::TargetCpu;
pub use drivers::Drivers;
pub use version::{ParseVersionError, Version};

/// An accelerator.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Accelerator {
    /// Linux's Kernel-based Virtual Machine.
    Kvm,
    /// macOS's Hypervisor framework.
    Hvf,
    /// Windows' Hypervisor Platform.
    Whpx,
    /// QEMU's own translator: works everywhere and for all architectures, but slowly.
    Tcg,
}

impl Accelerator {
    /// Returns the word for `-accel`.
    pub const fn qemu_name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Hvf => "hvf",
            Self::Whpx => "whpx",
            Self::Tcg => "tcg",
        }
    }

    /// Whether guest code runs on the host's CPU, which `-cpu host` requires.
    pub const fn is_hardware(self) -> bool {
        !matches!(self, Self::Tcg)
    }
}

impl fmt::Display for Accelerator {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.qemu_name())
    }
}

impl FromStr for Accelerator {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        [Self::Kvm, Self::Hvf, Self::Whpx, Self::Tcg]
            .into_iter()
            .find(|accelerator| accelerator.qemu_name() == text)
            .ok_or_else(|| format!("unknown accelerator {text:?}; known are kvm, hvf, whpx, tcg"))
    }
}

/// The QEMU that a plan is made for.
///
/// [`Target::new`] describes a plain QEMU of a version, with TCG and all features of that version. Probing a real
/// program gives more precise values; the fields are public and can be set individually.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The version of QEMU.
    pub version: Version,
    /// The guest's architecture.
    pub arch: Arch,
    /// The accelerator to use for [`AccelChoice::Auto`](crate::AccelChoice::Auto).
    pub accel: Accelerator,
    /// The CPU model to use if the config has none or `host`. Its features apply unless the config sets them. `None`
    /// means `host` with a hardware accelerator, or else [`Arch::default_cpu`].
    #[serde(default)]
    pub cpu: Option<TargetCpu>,
    /// Machine aliases and their versioned names: `q35` → `pc-q35-10.0`. For a known alias, the plan contains the
    /// versioned name, which migration and firmware descriptors require.
    #[serde(default)]
    pub machines: BTreeMap<String, String>,
    /// The device drivers of this build. `None` if unknown; then all drivers of the version are assumed to exist.
    #[serde(default)]
    pub devices: Option<Drivers>,
}

impl Target {
    /// Describes a QEMU with TCG and all features of `version`.
    pub fn new(version: Version, arch: Arch) -> Self {
        Self { version, arch, accel: Accelerator::Tcg, cpu: None, machines: BTreeMap::new(), devices: None }
    }
}
