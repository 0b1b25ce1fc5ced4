//! What a binary can do.

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
    /// Whether the binary takes it when none is named.
    pub is_default: bool,
    /// The most virtual CPUs that it takes.
    pub max_cpus: u32,
    /// Whether QEMU's developers mean to remove it.
    pub deprecated: bool,
    /// Whether virtual CPUs can be added while the guest runs.
    pub hotpluggable_cpus: bool,
    /// The type of the CPU that it has when none is named, such as `qemu64-x86_64-cpu`.
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
    /// Whether QEMU's developers mean to remove it.
    pub deprecated: bool,
    /// Whether TCG offers all of its features. `None`: not told for this architecture.
    pub complete_under_tcg: Option<bool>,
}

/// A property of a device driver.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Property {
    /// The name.
    pub name: String,
    /// QEMU's word for the type of its value, such as `uint32` or `OnOffAuto`.
    pub kind: String,
    /// QEMU's description.
    pub description: Option<String>,
    /// Its value where none is given, as far as QEMU tells.
    pub default: Option<serde_json::Value>,
}

/// What a QEMU binary can do.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Probe {
    /// The program, by the path it was found at.
    pub binary: PathBuf,
    /// The program file that ran in the end: `binary` may be a wrapper script or a link.
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
    /// The device drivers, buses' own and internal ones included. `None`: the binary dies when asked, as one does that
    /// finds modules of another build.
    pub devices: Option<BTreeSet<String>>,
    /// The types for `-object`. `None` as for `devices`.
    pub objects: Option<BTreeSet<String>>,
    /// The accelerators built in, such as `kvm` and `tcg`; whether they work here is another matter.
    pub accelerators: BTreeSet<String>,
    /// The QMP commands.
    pub commands: BTreeSet<String>,
    /// The network back ends, each with the names of its options.
    pub netdevs: BTreeMap<String, BTreeSet<String>>,
    /// The character device back ends.
    pub chardevs: BTreeSet<String>,
    /// The kinds of display whose code is installed.
    pub displays: BTreeSet<String>,
    /// The audio back ends whose code is installed.
    pub audiodevs: BTreeSet<String>,
    /// Whether SPICE is built in.
    pub spice: bool,
    /// Options of the command line, without the dash, with the names of their parameters: those that QEMU tells of.
    pub options: BTreeMap<String, BTreeSet<String>>,
    /// What this answer depends on.
    pub(crate) identity: Vec<FileIdentity>,
}

impl Probe {
    /// Whether the files that decide about the answer are as they were.
    pub(super) fn still_holds(&self) -> bool {
        self.identity.iter().all(FileIdentity::still_holds)
    }

    /// The machine type of this name or alias.
    pub fn machine(&self, name: &str) -> Option<&Machine> {
        self.machines.iter().find(|machine| machine.name == name || machine.alias.as_deref() == Some(name))
    }

    /// Whether there is a device driver of this name. `None`: not known.
    pub fn has_device(&self, driver: &str) -> Option<bool> {
        self.devices.as_ref().map(|devices| devices.contains(driver))
    }

    /// Whether an option of the command line has a parameter, such as `chardev` and `reconnect-ms`.
    pub fn has_option(&self, option: &str, parameter: &str) -> bool {
        self.options.get(option).is_some_and(|parameters| parameters.contains(parameter))
    }

    /// That this binary runs guests of `wanted`.
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
