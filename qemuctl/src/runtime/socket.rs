//! Sockets that QEMU listens to.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::sys::socket::{AddressFamily, SockFlag, SockType, UnixAddr, bind, socket};
use nix::sys::stat::{Mode, fchmod};

/// Binds the socket that QEMU will listen to, for its owner alone from the first moment on.
///
/// It does not listen yet: a client learns from the kernel who does (`SO_PEERCRED`), and that must be QEMU.
pub(crate) fn bind_socket(path: &Path) -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let bound = socket(AddressFamily::Unix, SockType::Stream, flags, None)?;
    // The file gets the mode of the socket.
    fchmod(&bound, Mode::S_IRUSR | Mode::S_IWUSR)?;
    bind(bound.as_raw_fd(), &UnixAddr::new(path)?)?;
    Ok(bound)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::MetadataExt;
    use std::os::unix::net::UnixStream;

    use super::*;

    #[test]
    fn the_socket_is_private_and_does_not_listen_yet() {
        let dir = tempfile::tempdir().expect("a directory");
        let path = dir.path().join("vm.sock");
        let bound = bind_socket(&path).expect("bound");
        assert_eq!(path.metadata().expect("it is there").mode() & 0o777, 0o600);
        let error = UnixStream::connect(&path).expect_err("nobody listens");
        assert_eq!(error.kind(), io::ErrorKind::ConnectionRefused);
        drop(bound);
    }
}
