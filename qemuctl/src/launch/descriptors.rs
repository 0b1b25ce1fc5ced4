//! Descriptors that QEMU inherits: secrets, taps, vhost devices.
//!
//! A secret goes through a pipe: it is never in QEMU's arguments or environment, nor in a file system.

use std::collections::btree_map::Entry;
use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::fs::{File, OpenOptions};
use std::io::{self, Seek, Write};
use std::os::fd::OwnedFd;
use std::path::Path;

use nix::sys::memfd::{MFdFlags, memfd_create};
use qemu_argv::{FdRole, FdSlot, NetBackend, TapOpener, VmConfig};
use rustix::fs::{OFlags, fcntl_setfl};
use zeroize::Zeroizing;

use crate::error::Error;
use qemu_discovery::process::FdMapping;

use super::{LaunchOptions, SecretSource, overlay, tap};

/// The environment variables that hold secrets.
pub(super) fn hidden(options: &LaunchOptions) -> Vec<OsString> {
    let variables = options.secrets.values().filter_map(|source| match source {
        SecretSource::Variable(name) => Some(name.into()),
        _ => None,
    });
    variables.collect()
}

/// Where the kernel moves the packets of TAP interfaces.
const VHOST_NET: &str = "/dev/vhost-net";

/// Opens what the plan expects behind each descriptor. `monitor` is the socket that QEMU's monitors share.
pub(super) async fn open(
    slots: &[FdSlot],
    monitor: &OwnedFd,
    config: &VmConfig,
    options: &LaunchOptions,
    mut passts: Vec<(FdRole, OwnedFd)>,
) -> Result<Vec<FdMapping>, Error> {
    vhost(config, Path::new(VHOST_NET))?;
    let mut mappings = Vec::new();
    let mut taps = Taps::default();
    for slot in slots.iter().filter(|slot| slot.role != FdRole::Qmp) {
        let missing = |reason: &str| Error::Unsupported {
            action: "passing a file descriptor for",
            name: describe(&slot.role),
            reason: reason.to_owned(),
        };
        let given = options.descriptors.iter().find(|(role, _)| *role == slot.role);
        let parent_fd = match (&slot.role, given) {
            (_, Some((_, fd))) => fd.try_clone().map_err(|error| missing(&error.to_string()))?,
            (FdRole::Monitor, None) => monitor.try_clone().map_err(|error| missing(&error.to_string()))?,
            (FdRole::Secret { id }, None) => secret(id, config, options).await?,
            (FdRole::NetSocket { .. }, None) => {
                let place = passts.iter().position(|(role, _)| *role == slot.role);
                passts.swap_remove(place.ok_or_else(|| missing("it is missing in the launch options"))?).1
            }
            (FdRole::Tap { network, .. }, None) => taps.next(network, slots, config)?,
            (FdRole::VhostNet { .. }, None) => device(Path::new(VHOST_NET))?,
            (FdRole::Overlay { disk }, None) => overlay::make(disk, config)?,
            (FdRole::VhostVsock, None) => device(Path::new("/dev/vhost-vsock"))?,
            _ => return Err(missing("it is missing in the launch options")),
        };
        let child_fd = i32::try_from(slot.fd).map_err(|_| missing("its number is too large"))?;
        mappings.push(FdMapping { parent_fd, child_fd });
    }
    Ok(mappings)
}

/// Whether QEMU can open the device at `path` where a TAP interface wants it to: 7.2 aborts when it cannot.
fn vhost(config: &VmConfig, path: &Path) -> Result<(), Error> {
    let mut backends = config.networks.iter().map(|network| &network.backend);
    let wanted = backends.any(
        |backend| matches!(backend, NetBackend::Tap(tap) if tap.vhost && tap.open_by == TapOpener::Qemu),
    );
    if wanted { device(path).map(drop) } else { Ok(()) }
}

/// The queues of TAP interfaces, in the order of their slots: those of an interface are opened together.
#[derive(Default)]
struct Taps(BTreeMap<String, VecDeque<OwnedFd>>);

impl Taps {
    fn next(&mut self, network: &str, slots: &[FdSlot], config: &VmConfig) -> Result<OwnedFd, Error> {
        let queues = match self.0.entry(network.to_owned()) {
            Entry::Occupied(queues) => queues.into_mut(),
            Entry::Vacant(place) => {
                let is_ours = |slot: &&FdSlot| matches!(&slot.role, FdRole::Tap { network: other, .. } if other == network);
                let count = slots.iter().filter(is_ours).count();
                place.insert(tap::open(tap_name(network, config), count)?.into())
            }
        };
        Ok(queues.pop_front().expect("as many were opened as there are slots"))
    }
}

/// The name that the config gives to the TAP interface of a network; `None` leaves it to the kernel.
fn tap_name<'a>(network: &str, config: &'a VmConfig) -> Option<&'a str> {
    match backend(network, config)? {
        NetBackend::Tap(tap) => tap.ifname.as_deref(),
        _ => None,
    }
}

/// What is behind the network of that id.
pub(super) fn backend<'a>(network: &str, config: &'a VmConfig) -> Option<&'a NetBackend> {
    let mut networks = config.networks.iter().enumerate();
    let (_, found) = networks.find(|(index, other)| match &other.id {
        Some(id) => id == network,
        None => format!("net{index}") == network,
    })?;
    Some(&found.backend)
}

fn describe(role: &FdRole) -> String {
    match role {
        FdRole::Monitor => "the monitors' socket".to_owned(),
        FdRole::Secret { id } => format!("secret {id}"),
        FdRole::Tap { network, queue } => format!("tap of {network}, queue {queue}"),
        FdRole::VhostNet { network, queue } => format!("vhost-net of {network}, queue {queue}"),
        FdRole::NetSocket { network } => format!("the socket of {network}"),
        FdRole::VhostVsock => "vhost-vsock".to_owned(),
        FdRole::Overlay { disk } => format!("what is written to {disk}"),
        _ => "a descriptor".to_owned(),
    }
}

/// A descriptor to read the secret `id` from: from the options, else from the config.
async fn secret(id: &str, config: &VmConfig, options: &LaunchOptions) -> Result<OwnedFd, Error> {
    let value = secret_value(id, config, options).await?;
    let fail = |source| Error::Io { action: "read the secret", path: id.into(), source };
    in_pipe(&value).or_else(|_| in_memory(&value)).map_err(fail)
}

/// The secret `id`: from the options, else from the config.
pub(super) async fn secret_value(
    id: &str,
    config: &VmConfig,
    options: &LaunchOptions,
) -> Result<Zeroizing<Vec<u8>>, Error> {
    let fail = |source| Error::Io { action: "read the secret", path: id.into(), source };
    let in_config = || {
        let secret = config.secrets.iter().find(|secret| secret.id == id)?;
        if let Some(path) = &secret.file {
            return Some(SecretSource::File(path.clone()));
        }
        let value = secret.value.as_ref()?.expose();
        Some(SecretSource::Value(Zeroizing::new(value.as_bytes().to_vec())))
    };
    let source = options.secrets.get(id).cloned().or_else(in_config).ok_or_else(|| {
        fail(io::Error::new(io::ErrorKind::NotFound, "it is missing in the config and in the launch options"))
    })?;
    match source {
        SecretSource::Value(value) => Ok(value),
        source => {
            // On another thread, so that whoever waits for it can be told to stop.
            let read = tokio::task::spawn_blocking(move || source.read());
            match tokio::time::timeout(options.ready_timeout, read).await {
                Ok(Ok(read)) => read.map_err(fail),
                Ok(Err(panic)) => Err(fail(io::Error::other(panic))),
                Err(_) => {
                    let text = format!("it did not appear within {} s", options.ready_timeout.as_secs());
                    Err(fail(io::Error::new(io::ErrorKind::TimedOut, text)))
                }
            }
        }
    }
}

/// A pipe that holds `value`. QEMU keeps the descriptor open for ever, but once it has read the secret there is nothing
/// left in it for those who can look into the process.
fn in_pipe(value: &[u8]) -> io::Result<OwnedFd> {
    let (reader, mut writer) = io::pipe()?;
    // The kernel gives 64 KiB to a pipe, and 4 KiB to the pipes of a user who has many.
    fcntl_setfl(&writer, OFlags::NONBLOCK)?;
    writer.write_all(value)?;
    Ok(reader.into())
}

/// A file in memory that holds `value`, to be read from its beginning.
pub(crate) fn in_memory(value: &[u8]) -> io::Result<OwnedFd> {
    let mut file = File::from(memfd_create(c"secret", MFdFlags::MFD_CLOEXEC)?);
    file.write_all(value)?;
    file.rewind()?;
    Ok(file.into())
}

fn device(path: &Path) -> Result<OwnedFd, Error> {
    let file = OpenOptions::new().read(true).write(true).open(path);
    file.map(Into::into).map_err(|source| Error::Io { action: "open", path: path.into(), source })
}

#[cfg(test)]
mod tests {
    use qemu_argv::{Network, TapNet};

    use super::*;

    #[test]
    fn vhost_without_its_device_is_refused_before_qemu_aborts() {
        let config = |vhost| VmConfig {
            networks: vec![Network::new(NetBackend::Tap(TapNet { vhost, ..TapNet::default() }))],
            ..VmConfig::default()
        };
        let nowhere = Path::new("/proc/self/no-such-device");
        vhost(&config(false), nowhere).expect("nobody opens it");
        let error = vhost(&config(true), nowhere).expect_err("it is not there");
        assert_eq!(error.to_string(), "cannot open /proc/self/no-such-device");
    }
}
