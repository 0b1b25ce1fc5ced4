//! What the machine will run on: a QEMU of some version, for some architecture, with some accelerator.

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

/// What executes the guest's instructions.
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
    /// QEMU's own translator: works everywhere, for every architecture, slowly.
    Tcg,
}

impl Accelerator {
    /// The word for `-accel`.
    pub const fn qemu_name(self) -> &'static str {
        match self {
            Self::Kvm => "kvm",
            Self::Hvf => "hvf",
            Self::Whpx => "whpx",
            Self::Tcg => "tcg",
        }
    }

    /// Whether guest code runs on the host's processor, which `-cpu host` needs.
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
/// [`Target::new`] describes a plain QEMU of a version: TCG, and everything that the version has.
/// Probing a real binary narrows it: the fields are public and may be set one by one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Target {
    /// The version of QEMU.
    pub version: Version,
    /// The architecture of the guest, which names the binary.
    pub arch: Arch,
    /// The accelerator that [`AccelChoice::Auto`](crate::AccelChoice::Auto) stands for.
    pub accel: Accelerator,
    /// What a CPU model that is left out, or `host`, became; its features count where the configuration does not set
    /// them. `None`: `host` with a hardware accelerator, else [`Arch::default_cpu`].
    #[serde(default)]
    pub cpu: Option<TargetCpu>,
    /// Machine aliases and the versioned names behind them: `q35` → `pc-q35-10.0`. Where an alias is known, the
    /// plan holds the versioned name, which migration and firmware descriptors need.
    #[serde(default)]
    pub machines: BTreeMap<String, String>,
    /// The device drivers that this build has. `None`: not probed, so every driver of the version is taken to be there.
    #[serde(default)]
    pub devices: Option<Drivers>,
}

impl Target {
    /// A QEMU with TCG and everything that `version` has.
    pub fn new(version: Version, arch: Arch) -> Self {
        Self { version, arch, accel: Accelerator::Tcg, cpu: None, machines: BTreeMap::new(), devices: None }
    }
}
