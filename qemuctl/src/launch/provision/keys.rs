//! SSH keys: one that the guest accepts, and one by which the guest is recognized.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, LineEnding, PrivateKey};
use zeroize::Zeroizing;

use crate::error::Error;
use crate::runtime::read_regular;

use super::private::write;

/// The file with the key that the guest accepts, in the machine's own folder.
const IDENTITY: &str = "ssh_key";
/// The file with the guest's key.
const HOST: &str = "ssh_host_key";

/// The keys of one machine.
pub(super) struct Keys {
    identity: PrivateKey,
    host: PrivateKey,
}

/// The path of the private key in the machine's own folder.
pub(super) fn identity_in(folder: &Path) -> PathBuf {
    folder.join(IDENTITY)
}

impl Keys {
    /// Makes keys for one run.
    pub(super) fn new() -> Result<Self, Error> {
        let failed = |error| failed("make", Path::new("an SSH key"), error);
        Ok(Self { identity: random().map_err(failed)?, host: random().map_err(failed)? })
    }

    /// Reads the keys of a machine, or makes them at its first start.
    pub(super) fn kept_in(folder: &Path) -> Result<Self, Error> {
        Ok(Self { identity: kept(&identity_in(folder))?, host: kept(&folder.join(HOST))? })
    }

    /// Returns the private key that the guest accepts, in OpenSSH's format.
    pub(super) fn identity(&self) -> Zeroizing<String> {
        text(&self.identity)
    }

    /// Returns its public half, as a line of `authorized_keys`.
    pub(super) fn identity_public(&self) -> String {
        public(&self.identity)
    }

    /// Returns the guest's private key, in OpenSSH's format.
    pub(super) fn host(&self) -> Zeroizing<String> {
        text(&self.host)
    }

    /// Returns its public half.
    pub(super) fn host_public(&self) -> String {
        public(&self.host)
    }

    /// Returns bytes that belong to this machine alone, for the salt of a password: the same at every start.
    pub(super) fn salt(&self) -> [u8; 12] {
        use sha2::{Digest, Sha256};
        let digest = Sha256::digest(text(&self.host).as_bytes());
        let mut salt = [0; 12];
        salt.copy_from_slice(&digest[..12]);
        salt
    }
}

fn random() -> Result<PrivateKey, ssh_key::Error> {
    let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519)?;
    key.set_comment("qemuctl");
    Ok(key)
}

fn text(key: &PrivateKey) -> Zeroizing<String> {
    key.to_openssh(LineEnding::LF).expect("an unencrypted key can be written as text")
}

fn public(key: &PrivateKey) -> String {
    key.public_key().to_openssh().expect("a public key can be written as text")
}

fn kept(path: &Path) -> Result<PrivateKey, Error> {
    match read_regular(path).map(Zeroizing::new) {
        Ok(text) => {
            PrivateKey::from_openssh(text.as_bytes()).map_err(|error| failed("read the SSH key", path, error))
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            let key = random().map_err(|error| failed("make the SSH key", path, error))?;
            write(path, text(&key).as_bytes())?;
            Ok(key)
        }
        Err(source) => Err(Error::Io { action: "read the SSH key", path: path.to_owned(), source }),
    }
}

fn failed(action: &'static str, path: &Path, error: ssh_key::Error) -> Error {
    Error::Io { action, path: path.to_owned(), source: io::Error::other(error) }
}

/// Returns the public keys of whoever runs this program, sorted by file name.
pub(super) fn of_user() -> Vec<String> {
    let Some(folder) = std::env::home_dir().map(|home| home.join(".ssh")) else { return Vec::new() };
    // A home without keys is normal.
    let entries = fs::read_dir(folder).into_iter().flatten().flatten();
    let mut paths: Vec<_> = entries
        .map(|entry| entry.path())
        .filter(|path| path.extension().is_some_and(|end| end == "pub"))
        .collect();
    paths.sort();
    let texts = paths.iter().filter_map(|path| read_regular(path).ok());
    texts
        .flat_map(|text| text.lines().map(str::to_owned).collect::<Vec<_>>())
        .filter(|line| is_key(line))
        .collect()
}

/// Whether the line is a public key. Certificates and other files may have the same file name extension.
fn is_key(line: &str) -> bool {
    ssh_key::PublicKey::from_openssh(line.trim()).is_ok()
}
