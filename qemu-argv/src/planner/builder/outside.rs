//! What the launcher has to do with: descriptors that QEMU inherits, sockets that it makes.

use std::path::PathBuf;

use super::Builder;
use crate::name::join;
use crate::plan::{FdRole, FdSlot, PlannedSocket, SocketRole};
use crate::planner::at::At;

/// Descriptors 0 to 2 are the standard ones.
const FIRST_FREE_FD: u32 = 3;

impl Builder<'_> {
    /// A descriptor that QEMU will inherit.
    pub(crate) fn fd(&mut self, at: At<'_>, role: FdRole) -> u32 {
        let taken = |fd: u32| self.endpoints.qmp_fd == Some(fd) || self.endpoints.monitor_fds.contains(&fd);
        // They are given in order; the monitors' may be any.
        let mut fd = self.last_fd.map_or(FIRST_FREE_FD, |last| last + 1);
        while taken(fd) {
            fd += 1;
        }
        self.last_fd = Some(fd);
        self.known_fd(at, fd, role);
        fd
    }

    /// A descriptor whose number the launcher has chosen.
    pub(crate) fn known_fd(&mut self, at: At<'_>, fd: u32, role: FdRole) {
        let bundle = self.bundle_of(at);
        self.bundles[bundle].fds.push(FdSlot { fd, role });
    }

    /// The same, as an option writes it: by number, or by the name that a running QEMU gets it under.
    pub(crate) fn fd_text(&mut self, at: At<'_>, role: FdRole) -> String {
        let slot = FdSlot { fd: self.fd(at, role.clone()), role };
        if self.running { slot.monitor_name() } else { slot.fd.to_string() }
    }

    /// A socket `SOCKET_DIR/NAME.ENDING`, when the launcher wants one.
    pub(crate) fn socket(&mut self, at: At<'_>, role: SocketRole, ending: &str) -> Option<PathBuf> {
        let dir = self.endpoints.socket_dir.as_ref()?;
        let mut path = PathBuf::with_capacity(dir.as_os_str().len() + self.name.len() + ending.len() + 1);
        path.push(dir);
        path.push(&*join([&self.name, ending]));
        self.check_socket_path(At::section("name"), &path);
        self.known_socket(at, role, path.clone());
        Some(path)
    }

    /// A socket whose path the configuration has chosen.
    pub(crate) fn known_socket(&mut self, at: At<'_>, role: SocketRole, path: PathBuf) {
        let bundle = self.bundle_of(at);
        self.bundles[bundle].sockets.push(PlannedSocket { role, path });
    }
}
