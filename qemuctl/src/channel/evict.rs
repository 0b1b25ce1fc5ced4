//! Takes a character device's socket away from a client that is stopped, as by Ctrl-Z: it would keep everybody out until it
//! is continued.
//!
//! QEMU exchanges the socket beneath the device for a new one at the same path. The client that was stopped finds its
//! connection closed.

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

/// Exchanges the socket of the character device `chardev`, and the file that its users lock. Nothing is done if another
/// process does that now or has just done it.
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
    // QEMU has removed the socket that was there.
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
