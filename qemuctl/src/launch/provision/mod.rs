//! Sets the guest's operating system up: what the section `guest` of a config becomes.
//!
//! ```text
//! config ──▶ Content ──┬──▶ cloud_init ──▶ seed (a FAT disk) ──▶ read-only disk
//!     keys ─────┘      ├──▶ credentials ──▶ fw_cfg and SMBIOS, from files
//!                      └──▶ ignition ──▶ fw_cfg, from a file
//! ```
//!
//! All of it is in private files: neither QEMU's arguments nor its environment contain any of it.

mod cloud_init;
mod content;
mod credentials;
mod ignition;
mod keys;
mod private;
mod seed;

use std::io;
use std::path::{Path, PathBuf};

use qemu_argv::{
    Cdrom, CdromInterface, Disk, DiskBackend, DiskInterface, FwCfg, HostForward, NetBackend, Provision,
    VmConfig,
};

use crate::error::Error;
use crate::runtime::{Residue, SocketDir, SshLogin};

use super::LaunchOptions;
use content::Content;
use keys::Keys;
use private::write;

/// The guest's SSH port.
const SSH: u16 = 22;

/// The id of the disk for cloud-init.
const SEED: &str = "seed";

/// The prefix of the names of systemd's credentials on the firmware configuration device.
const CREDENTIALS: &str = "opt/io.systemd.credentials/";

/// The longest name of a file on the firmware configuration device.
const LONGEST_NAME: usize = 55;

/// What was made for a guest.
pub(in crate::launch) struct Provided {
    /// How to log in.
    pub(in crate::launch) login: SshLogin,
    /// What is not passed to the guest, and why.
    pub(in crate::launch) warnings: Vec<String>,
}

/// Makes the files for the guest of `name`, and adds them to the config. Returns `None` if there is nothing to set up.
pub(in crate::launch) async fn provide(
    name: &str,
    config: &mut VmConfig,
    dir: &SocketDir,
    residue: &mut Residue,
    options: &LaunchOptions,
) -> Result<Option<Provided>, Error> {
    let Some(guest) = config.guest.clone() else { return Ok(None) };
    let password = match &guest.password_secret {
        // A secret that does not exist is reported by the plan.
        Some(id) if config.secrets.iter().any(|secret| secret.id == *id) => {
            Some(super::descriptors::secret_value(id, config, options).await?)
        }
        _ => None,
    };
    let mut made = Files { dir, name, residue };
    let keys = match &options.keep_dir {
        Some(kept) => Keys::kept_in(kept)?,
        None => Keys::new()?,
    };
    let login = made.login(guest.user(), &keys, options.keep_dir.as_deref())?;
    let content = Content::gather(name, config, &guest, &keys, password)?;
    let mut warnings = Vec::new();
    if guest.uses(Provision::CloudInit) {
        let disk = seed::disk(&cloud_init::files(&content)).map_err(made.failed("seed"))?;
        attach(config, made.write("seed", &disk)?);
    }
    if guest.uses(Provision::Systemd) {
        for (index, (credential, value)) in credentials::all(&content).into_iter().enumerate() {
            let file_name = format!("{CREDENTIALS}{credential}");
            if file_name.len() <= LONGEST_NAME {
                config
                    .fw_cfg
                    .push(FwCfg::file(file_name, made.write(&format!("credential{index}"), &value)?));
            } else if has_smbios(config) {
                let text = credentials::as_oem_string(&credential, &value);
                let path = made.write(&format!("credential{index}"), text.as_bytes())?;
                config.smbios.get_or_insert_default().oem_files.push(path);
            } else {
                warnings.push(format!(
                    "the guest does not get the credential {credential}: its name is too long for this board"
                ));
            }
        }
    }
    if guest.uses(Provision::Ignition) {
        let path = made.write("ignition", &ignition::config(&content))?;
        config.fw_cfg.push(FwCfg::file("opt/com.coreos/config", path));
    }
    forward_ssh(config);
    Ok(Some(Provided { login, warnings }))
}

/// Whether the board passes SMBIOS strings to the guest, whatever firmware it has.
fn has_smbios(config: &VmConfig) -> bool {
    use qemu_argv::Arch;
    matches!(config.arch.or_else(Arch::host), Some(Arch::X86_64 | Arch::I386))
}

/// Attaches the disk for cloud-init like the first disk, so that the guest has its driver.
fn attach(config: &mut VmConfig, path: PathBuf) {
    let interface = config.disks.first().map(|disk| disk.interface).unwrap_or_default();
    if matches!(interface, DiskInterface::Ide | DiskInterface::Sata) {
        // These disks cannot be read-only, and CD-ROM drives are on the same controllers.
        let interface = match interface {
            DiskInterface::Ide => CdromInterface::Ide,
            _ => CdromInterface::Sata,
        };
        let medium = Some(DiskBackend::file(path));
        config.cdroms.push(Cdrom { id: Some(SEED.to_owned()), medium, interface, ..Cdrom::default() });
    } else {
        let format = Some(qemu_argv::BlockFormat::Raw);
        let id = Some(SEED.to_owned());
        config.disks.push(Disk { id, format, interface, read_only: true, ..Disk::file(path) });
    }
}

/// Forwards a free port of the loopback interface to the guest's SSH server, unless a port is forwarded to it.
fn forward_ssh(config: &mut VmConfig) {
    let mut users = config.networks.iter_mut().filter_map(|network| match &mut network.backend {
        NetBackend::User(user) => Some(user),
        _ => None,
    });
    let Some(first) = users.next() else { return };
    let goes_there = |user: &&mut qemu_argv::UserNet| {
        user.forwards
            .iter()
            .any(|forward| forward.guest_port == SSH && forward.protocol == qemu_argv::Transport::Tcp)
    };
    if first.ipv4 != Some(false) && !goes_there(&&mut *first) && !users.any(|user| goes_there(&user)) {
        first.forwards.push(HostForward::tcp(0, SSH));
    }
}

/// The files of one VM in the directory of its sockets.
struct Files<'a> {
    dir: &'a SocketDir,
    name: &'a str,
    residue: &'a mut Residue,
}

impl Files<'_> {
    /// Writes a private file that goes when the VM goes.
    fn write(&mut self, ending: &str, content: &[u8]) -> Result<PathBuf, Error> {
        let path = self.dir.file(self.name, &format!(".{ending}"));
        self.residue.add([path.clone()]);
        write(&path, content)?;
        Ok(path)
    }

    fn failed(&self, ending: &str) -> impl FnOnce(io::Error) -> Error {
        let path = self.dir.file(self.name, &format!(".{ending}"));
        move |source| Error::Io { action: "make", path, source }
    }

    /// Writes what a client needs to log in: the machine's own key, and the guest's public one.
    fn login(&mut self, user: &str, keys: &Keys, kept: Option<&Path>) -> Result<SshLogin, Error> {
        let known = format!("{} {}\n", SshLogin::HOST_ALIAS, keys.host_public());
        let identity = match kept {
            Some(kept) => keys::identity_in(kept),
            None => self.write("ssh-key", keys.identity().as_bytes())?,
        };
        let known_hosts = self.write("known-hosts", known.as_bytes())?;
        // Made by whoever logs in first.
        self.residue.add([self.dir.file(self.name, ".ssh-proven")]);
        Ok(SshLogin { user: user.to_owned(), identity, known_hosts })
    }
}
