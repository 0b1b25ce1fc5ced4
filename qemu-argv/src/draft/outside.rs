//! What the launcher has to do with: descriptors that QEMU inherits, sockets that it makes.

use std::path::PathBuf;

use super::Draft;
use crate::error::At;
use crate::name::join;
use crate::parts::{FdRole, FdSlot, PlannedSocket, SocketRole};

/// Descriptors 0 to 2 are the standard ones.
const FIRST_FREE_FD: u32 = 3;

impl Draft<'_> {
    /// A descriptor that QEMU will inherit.
    pub(crate) fn fd(&mut self, role: FdRole) -> u32 {
        let taken = |fd: u32| self.endpoints.qmp_fd == Some(fd);
        let mut fd = self.fds.iter().map(|slot| slot.fd + 1).max().unwrap_or(0).max(FIRST_FREE_FD);
        while taken(fd) {
            fd += 1;
        }
        self.fds.push(FdSlot { fd, role });
        fd
    }

    /// The same, as an option writes it: by number, or by the name that a running QEMU gets it under.
    pub(crate) fn fd_text(&mut self, role: FdRole) -> String {
        let slot = FdSlot { fd: self.fd(role.clone()), role };
        if self.running { slot.monitor_name() } else { slot.fd.to_string() }
    }

    /// A socket `SOCKET_DIR/NAME.ENDING`, when the launcher wants one.
    pub(crate) fn socket(&mut self, role: SocketRole, ending: &str) -> Option<PathBuf> {
        let dir = self.endpoints.socket_dir.as_ref()?;
        let mut path = PathBuf::with_capacity(dir.as_os_str().len() + self.name.len() + ending.len() + 1);
        path.push(dir);
        path.push(&*join([&self.name, ending]));
        self.check_socket_path(At::ROOT.field("name"), &path);
        self.sockets.push(PlannedSocket { role, path: path.clone() });
        Some(path)
    }
}
