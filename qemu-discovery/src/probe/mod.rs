//! Queries the capabilities of a QEMU program.
//!
//! A short QMP session with `-machine none` answers nearly everything; two runs with `help` list the display and audio
//! backends, for which there is no command. The result is cached on disk, together with the identity of the program and
//! of everything that affects its capabilities: the file behind a wrapper script, and the directories with its loadable
//! modules.

mod abilities;
mod board;
mod help;
mod reply;
mod schema;
mod session;

use std::collections::HashMap;
use std::path::{Path, PathBuf};
use std::sync::{Arc, LazyLock, Mutex, PoisonError};

use crate::cache::{FileIdentity, Slot};
use crate::{DiscoveryError, Places};

pub use abilities::{CpuModel, Machine, Probe, Property};

/// The answers that this process has used, by the path of the program: to read one from disk takes longer than all
/// else that is done before a QEMU is started.
static USED: LazyLock<Mutex<HashMap<PathBuf, Arc<Probe>>>> = LazyLock::new(Mutex::default);

/// Queries the QEMU at `binary`, or returns a cached result.
///
/// # Errors
///
/// - [`DiscoveryError::Io`] if it cannot be started.
/// - [`DiscoveryError::NotQemu`] if it ends before it has answered; the message contains its last output.
/// - [`DiscoveryError::Timeout`] if it does not answer.
/// - [`DiscoveryError::Answer`] if an answer differs from those of QEMU 7.2 and later.
///
/// # Cancel safety
///
/// If the future is dropped, QEMU is stopped and nothing is cached.
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

/// Like [`probe`], with the cache and module directories of a given host.
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
    /// Returns the properties of a device driver, such as `virtio-blk-pci`, by name, or `None` if there is no such
    /// driver.
    ///
    /// The first query takes a tenth of a second, then the result is cached.
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
}
