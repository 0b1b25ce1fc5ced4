//! What a guest is set up with, gathered from the config, the host's files and the machine's keys.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;

use qemu_argv::{Guest, NinePShare, Share, VirtiofsShare, VmConfig};
use sha_crypt::{PasswordHasher, ShaCrypt};
use zeroize::Zeroizing;

use crate::error::Error;

use super::keys::{self, Keys};

/// The largest file that is passed to a guest.
const LARGEST: u64 = 1 << 20;

/// Everything that the guest is told.
pub(super) struct Content {
    pub(super) user: String,
    /// The hash of the user's password, as `/etc/shadow` has it.
    pub(super) password: Option<String>,
    /// The lines of `authorized_keys`.
    pub(super) keys: Vec<String>,
    /// The guest's private SSH key, and the public one.
    pub(super) host_key: (Zeroizing<String>, String),
    pub(super) hostname: String,
    pub(super) timezone: Option<String>,
    pub(super) packages: Vec<String>,
    pub(super) run: Vec<String>,
    pub(super) files: Vec<ContentFile>,
    pub(super) mounts: Vec<Mount>,
    /// A user-data file or an Ignition config to pass on.
    pub(super) user_data: Option<Vec<u8>>,
}

/// A file to create in the guest.
pub(super) struct ContentFile {
    pub(super) path: String,
    pub(super) data: Vec<u8>,
    /// Octal digits.
    pub(super) mode: String,
    pub(super) owner: String,
    pub(super) group: String,
}

/// A share to mount.
pub(super) struct Mount {
    pub(super) tag: String,
    pub(super) path: String,
    pub(super) kind: &'static str,
    pub(super) options: &'static str,
}

impl Content {
    pub(super) fn gather(
        name: &str,
        config: &VmConfig,
        guest: &Guest,
        keys: &Keys,
        password: Option<Zeroizing<Vec<u8>>>,
    ) -> Result<Self, Error> {
        let mut lines = vec![keys.identity_public()];
        lines.extend(guest.ssh_keys.clone().unwrap_or_else(keys::of_user));
        let files = guest.files.iter().map(file).collect::<Result<_, _>>()?;
        Ok(Self {
            user: guest.user().to_owned(),
            password: password.map(|password| hash(&password, keys)),
            keys: lines,
            host_key: (keys.host(), keys.host_public()),
            hostname: guest.hostname.clone().unwrap_or_else(|| host_name(name)),
            timezone: guest.timezone.clone(),
            packages: guest.packages.clone(),
            run: guest.run.clone(),
            files,
            mounts: guest.mounts.iter().filter_map(|mount| self::mount(config, mount)).collect(),
            user_data: guest.user_data.as_deref().map(read).transpose()?,
        })
    }

    /// Returns the user's home directory.
    pub(super) fn home(&self) -> String {
        if self.user == "root" { "/root".to_owned() } else { format!("/home/{}", self.user) }
    }
}

/// The name of a VM as a host name, which has fewer letters.
fn host_name(name: &str) -> String {
    let letters = name.chars().map(|letter| if letter.is_ascii_alphanumeric() { letter } else { '-' });
    let name: String = letters.take(63).collect();
    let name = name.trim_matches('-');
    if name.is_empty() { "vm".to_owned() } else { name.to_owned() }
}

/// The salt is the machine's, so that the same password gives the same hash at every start, and cloud-init sees no
/// change.
fn hash(password: &[u8], keys: &Keys) -> String {
    // A file with a password usually ends with a newline, which nobody can type.
    let password = password.strip_suffix(b"\n").unwrap_or(password);
    let hash = ShaCrypt::default().hash_password_with_salt(password, &keys.salt());
    hash.expect("a salt of 12 bytes is allowed").as_str().to_owned()
}

fn file(file: &qemu_argv::GuestFile) -> Result<ContentFile, Error> {
    let data = match (&file.source, &file.text) {
        (Some(source), _) => read(source)?,
        (None, text) => text.clone().unwrap_or_default().into_bytes(),
    };
    let owner = file.owner.as_deref().unwrap_or("root:root");
    let (owner, group) = owner.split_once(':').unwrap_or((owner, owner));
    Ok(ContentFile {
        path: file.path.clone(),
        data,
        mode: file.mode.clone().unwrap_or_else(|| "0644".to_owned()),
        owner: owner.to_owned(),
        group: group.to_owned(),
    })
}

/// Reads a file of the host.
fn read(path: &Path) -> Result<Vec<u8>, Error> {
    let read = || {
        let mut data = Vec::new();
        File::open(path)?.take(LARGEST + 1).read_to_end(&mut data)?;
        if data.len() as u64 > LARGEST {
            return Err(io::Error::new(
                io::ErrorKind::FileTooLarge,
                "it is larger than 1 MiB; use a share instead",
            ));
        }
        Ok(data)
    };
    read().map_err(|source| Error::Io { action: "read", path: path.to_owned(), source })
}

fn mount(config: &VmConfig, mount: &qemu_argv::GuestMount) -> Option<Mount> {
    let (kind, options) = config.shares.iter().find_map(|share| match share {
        Share::Virtiofs(VirtiofsShare { tag, .. }) if *tag == mount.share => Some(("virtiofs", "nofail")),
        Share::NineP(NinePShare { tag, .. }) if *tag == mount.share => {
            Some(("9p", "trans=virtio,version=9p2000.L,msize=131072,nofail"))
        }
        _ => None,
    })?;
    Some(Mount { tag: mount.share.clone(), path: mount.path(), kind, options })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn any_name_of_a_vm_gives_a_host_name() {
        let names = ["web", "my vm, the \"second\"", "Größe", "-_-", "a.b"].map(host_name);
        assert_eq!(names, ["web", "my-vm--the--second", "Gr--e", "vm", "a-b"]);
    }
}
