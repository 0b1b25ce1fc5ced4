//! What a QEMU binary can do, asked of the binary itself.
//!
//! One short QMP session with a QEMU that has no machine (`-machine none`) answers nearly everything; two runs with
//! `help` name the display and audio back ends, for which there is no command. The answer is kept on disk under the
//! identity of the program and of everything that decides about its abilities: the file behind a wrapper script, and
//! the folders with its loadable modules.

mod help;
mod reply;
mod schema;
mod session;

use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use qemu_argv::{Arch, Target, Version};
use serde::{Deserialize, Serialize};

use crate::cache::{FileIdentity, Slot};
use crate::{Acceleration, DiscoveryError, Places};

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

/// The answers that this process has used, by the path of the program: to read one from disk takes longer than all
/// else that is done before a QEMU is started.
static USED: LazyLock<Mutex<HashMap<PathBuf, Arc<Probe>>>> = LazyLock::new(Mutex::default);

/// Asks the QEMU at `binary` what it can do, or recalls an earlier answer.
///
/// # Errors
///
/// - [`DiscoveryError::Io`] if it cannot be started.
/// - [`DiscoveryError::NotQemu`] if it ends before it has answered; its last words are in the message.
/// - [`DiscoveryError::Timeout`] if it does not answer.
/// - [`DiscoveryError::Answer`] if it answers something else than QEMU 7.2 and later do.
///
/// # Cancel safety
///
/// A QEMU that is being asked is ended, and nothing is kept.
pub async fn probe(binary: &Path) -> Result<Arc<Probe>, DiscoveryError> {
    let used = || USED.lock().unwrap_or_else(PoisonError::into_inner);
    let known = used().get(binary).cloned();
    if let Some(probe) = known.filter(|probe| probe.still_holds()) {
        return Ok(probe);
    }
    let probe = Arc::new(probe_in(&Places::host(), binary).await?);
    used().insert(binary.to_owned(), probe.clone());
    Ok(probe)
}

/// [`probe`] with the cache and module folders of a given host.
///
/// # Errors
///
/// As [`probe`].
pub async fn probe_in(places: &Places, binary: &Path) -> Result<Probe, DiscoveryError> {
    let asked = |source| DiscoveryError::Io { action: "look at", path: binary.to_owned(), source };
    let key = FileIdentity::of(binary).map_err(asked)?;
    let slot = Slot::new(places, "probe", binary);
    if let Some(probe) = recall(&slot, &key) {
        return Ok(probe);
    }
    // Whoever comes second finds the first one's answer.
    let lock = slot.lock(session::DEADLINE).await;
    if lock.is_some()
        && let Some(probe) = recall(&slot, &key)
    {
        return Ok(probe);
    }
    let mut probe = session::ask(binary).await?;
    probe.identity = identity(places, &probe, &key);
    slot.store(&key, &probe);
    Ok(probe)
}

fn recall(slot: &Slot, key: &FileIdentity) -> Option<Probe> {
    let probe: Probe = slot.load(key)?;
    probe.still_holds().then_some(probe)
}

/// The files that decide about the answer: the wrapper, the program and the folders of modules.
fn identity(places: &Places, probe: &Probe, binary: &FileIdentity) -> Vec<FileIdentity> {
    let mut files = vec![binary.clone()];
    files.extend(FileIdentity::of(&probe.executable));
    let folders = ["/usr/lib/qemu", "/usr/lib64/qemu", "/usr/lib64/qemu-kvm", "/usr/local/lib/qemu"]
        .map(|dir| places.at(dir));
    let multiarch = places.at(format!("/usr/lib/{}-linux-gnu/qemu", std::env::consts::ARCH));
    // A QEMU with a tree of its own has its modules there: bin/../lib/….
    let prefix = probe.executable.parent().and_then(Path::parent);
    let own = prefix.into_iter().flat_map(|prefix| {
        ["lib/qemu".to_owned(), format!("lib/{}-linux-gnu/qemu", std::env::consts::ARCH)]
            .map(|dir| prefix.join(dir))
    });
    files.extend(
        places
            .module_dir
            .iter()
            .cloned()
            .chain(folders)
            .chain([multiarch])
            .chain(own)
            .map(FileIdentity::of_any),
    );
    files.dedup();
    files
}

impl Probe {
    /// Whether the files that decide about the answer are as they were.
    fn still_holds(&self) -> bool {
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

    /// The properties of a device driver, such as `virtio-blk-pci`, by name. `None`: there is no such driver.
    ///
    /// The binary is asked the first time, a tenth of a second; then the answer is kept.
    ///
    /// # Errors
    ///
    /// As [`probe`].
    ///
    /// # Cancel safety
    ///
    /// As [`probe`].
    pub async fn device_properties(&self, driver: &str) -> Result<Option<Vec<Property>>, DiscoveryError> {
        self.device_properties_in(&Places::host(), driver).await
    }

    /// [`device_properties`](Self::device_properties) with the cache of a given host.
    ///
    /// # Errors
    ///
    /// As [`probe`].
    pub async fn device_properties_in(
        &self,
        places: &Places,
        driver: &str,
    ) -> Result<Option<Vec<Property>>, DiscoveryError> {
        let slot = Slot::new(places, "device", (&self.binary, driver));
        if let Some(properties) = slot.load(&self.identity) {
            return Ok(properties);
        }
        let properties = session::properties(&self.binary, driver).await?;
        slot.store(&self.identity, &properties);
        Ok(properties)
    }

    /// What a plan for this binary rests on.
    pub fn target(&self, arch: Arch, acceleration: &Acceleration) -> Target {
        let mut target = Target::new(self.version, arch);
        target.accel = acceleration.accelerator;
        target.cpu.clone_from(&acceleration.cpu);
        target.machines = self
            .machines
            .iter()
            .filter_map(|machine| Some((machine.alias.clone()?, machine.name.clone())))
            .collect();
        target.devices.clone_from(&self.devices);
        target
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
