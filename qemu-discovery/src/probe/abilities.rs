//! The capabilities of a program.

use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;

use qemu_argv::{Arch, Version};
use serde::{Deserialize, Serialize};

use crate::DiscoveryError;
use crate::cache::FileIdentity;

/// A machine type.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Machine {
    /// The full name, such as `pc-q35-10.0`.
    pub name: String,
    /// The short name that stands for it, such as `q35`.
    pub alias: Option<String>,
    /// Whether it is the default.
    pub is_default: bool,
    /// The maximum number of virtual CPUs.
    pub max_cpus: u32,
    /// Whether it is deprecated.
    pub deprecated: bool,
    /// Whether virtual CPUs can be hotplugged.
    pub hotpluggable_cpus: bool,
    /// The default CPU type, such as `qemu64-x86_64-cpu`.
    pub default_cpu_type: Option<String>,
    /// The id of its main memory, such as `pc.ram`.
    pub default_ram_id: Option<String>,
}

/// A CPU model, for `-cpu`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CpuModel {
    /// The name.
    pub name: String,
    /// Whether it is deprecated.
    pub deprecated: bool,
    /// Whether TCG supports all of its features. `None` if this is not known for the architecture.
    pub complete_under_tcg: Option<bool>,
}

/// A property of a device driver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Property {
    /// The name.
    pub name: String,
    /// QEMU's name of the type of its value, such as `uint32` or `OnOffAuto`.
    pub kind: String,
    /// QEMU's description.
    pub description: Option<String>,
    /// Its default value, if known.
    pub default: Option<serde_json::Value>,
}

/// The capabilities of a QEMU program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Probe {
    /// The path of the program.
    pub binary: PathBuf,
    /// The actual program file; `binary` may be a wrapper script or a link.
    pub executable: PathBuf,
    /// The version.
    pub version: Version,
    /// The vendor's name for the build, such as `Debian 1:10.0.13+ds-0+deb13u1`; empty for a plain build.
    pub package: String,
    /// The architecture of its guests.
    pub arch: Arch,
    /// The machine types.
    pub machines: Vec<Machine>,
    /// The CPU models.
    pub cpu_models: Vec<CpuModel>,
    /// The device drivers, including buses and internal ones. `None` if the program crashes when listing them, for
    /// example because of modules of a different build.
    pub devices: Option<BTreeSet<String>>,
    /// The types for `-object`. `None` as for `devices`.
    pub objects: Option<BTreeSet<String>>,
    /// The built-in accelerators, such as `kvm` and `tcg`, whether they work on this host or not.
    pub accelerators: BTreeSet<String>,
    /// The QMP commands.
    pub commands: BTreeSet<String>,
    /// The network backends, each with the names of its options.
    pub netdevs: BTreeMap<String, BTreeSet<String>>,
    /// The character device backends.
    pub chardevs: BTreeSet<String>,
    /// The installed display backends.
    pub displays: BTreeSet<String>,
    /// The installed audio backends.
    pub audiodevs: BTreeSet<String>,
    /// Whether SPICE is built in.
    pub spice: bool,
    /// Command-line options, without the dash, with the names of their parameters, as far as QEMU reports them.
    pub options: BTreeMap<String, BTreeSet<String>>,
    /// What this result depends on.
    pub(crate) identity: Vec<FileIdentity>,
}

impl Probe {
    /// Whether the files that this result depends on are unchanged.
    pub(super) fn still_holds(&self) -> bool {
        self.identity.iter().all(FileIdentity::still_holds)
    }

    /// Returns the machine type with this name or alias.
    pub fn machine(&self, name: &str) -> Option<&Machine> {
        self.machines.iter().find(|machine| machine.name == name || machine.alias.as_deref() == Some(name))
    }

    /// Whether there is a device driver with this name. `None` if unknown.
    pub fn has_device(&self, driver: &str) -> Option<bool> {
        self.devices.as_ref().map(|devices| devices.contains(driver))
    }

    /// Whether a command-line option has a parameter, such as `chardev` and `reconnect-ms`.
    pub fn has_option(&self, option: &str, parameter: &str) -> bool {
        self.options.get(option).is_some_and(|parameters| parameters.contains(parameter))
    }

    /// Checks that this program runs guests of `wanted`.
    ///
    /// # Errors
    ///
    /// [`DiscoveryError::WrongArch`] if it does not.
    pub fn expect_arch(&self, wanted: Arch) -> Result<(), DiscoveryError> {
        if self.arch == wanted {
            return Ok(());
        }
        Err(DiscoveryError::WrongArch { path: self.binary.clone(), found: self.arch, wanted })
    }
}
