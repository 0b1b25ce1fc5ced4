//! Disconnects a stopped client (for example by Ctrl-Z) from a character device's socket, since it would block all
//! others until it is continued.
//!
//! QEMU replaces the device's socket by a new one at the same path, which closes the connection of the stopped client.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::Path;

use qmp_client::{ClientError, Session};
use qmp_proto::{
    ChardevBackend, ChardevChange, ChardevSocket, ChardevSocketWrapper, FdSocketAddress,
    FdSocketAddressWrapper, SocketAddressLegacy,
};

use super::turn::{EVICTION, lock, lock_file, make_lock_file};
use crate::runtime::bind_socket;

/// Replaces the socket of the character device `chardev`, and the lock file of its users. Does nothing if another
/// process is doing so or has just done so.
pub(super) async fn evict(session: &Session, chardev: &str, socket: &Path) -> io::Result<()> {
    let path = lock_file(socket);
    let old = OpenOptions::new().read(true).write(true).open(&path)?;
    if !lock(&old, EVICTION, nix::libc::F_WRLCK)? || !is_at(&old, &path) {
        return Ok(());
    }
    let new = socket.with_extension("new");
    remove(&new)?;
    let bound = bind_socket(&new)?;
    let named = session.getfd(&bound).await.map_err(io::Error::other)?;
    let address = SocketAddressLegacy::Fd(FdSocketAddressWrapper::new(FdSocketAddress::new(named.name())));
    let mut backend = ChardevSocket::new(address);
    (backend.server, backend.wait) = (Some(true), Some(false));
    let backend = ChardevBackend::Socket(ChardevSocketWrapper::new(backend));
    let changed = session.execute(ChardevChange::new(chardev, backend)).await;
    changed.map_err(|error: ClientError| io::Error::other(error))?;
    // QEMU has removed the old socket.
    std::fs::rename(&new, socket)?;
    let draft = path.with_extension("lock-new");
    make_lock_file(&draft)?;
    std::fs::rename(&draft, &path)
}

fn is_at(file: &File, path: &Path) -> bool {
    let inode = |facts: io::Result<std::fs::Metadata>| facts.map(|facts| facts.ino()).ok();
    inode(file.metadata()) == inode(path.symlink_metadata())
}

fn remove(path: &Path) -> io::Result<()> {
    match std::fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(error),
        _ => Ok(()),
    }
}
