//! File descriptors stored in QEMU, which are released when their guards are dropped.
//!
//! QEMU keeps named file descriptors over a reconnect, so a long-lived monitor would leak those that are not released.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicU64, Ordering};

use qmp_proto::Empty;
use serde::Deserialize;
use serde_json::json;

use crate::connection::handle::Request;
use crate::error::ClientError;
use crate::pipeline::outgoing::{Orphan, Outgoing};
use crate::session::Session;
use crate::wire::command;

/// A file descriptor stored in QEMU under a name (`getfd`). Dropping it makes QEMU close the file descriptor, unless a
/// command such as `add_client` or `netdev_add` has taken it over.
#[derive(Debug)]
#[must_use = "dropping it makes QEMU close the descriptor"]
pub struct NamedFd {
    session: Session,
    name: String,
}

impl NamedFd {
    /// Returns the name for use in commands, such as `fdname` of `add_client`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for NamedFd {
    fn drop(&mut self) {
        self.session.send_detached(closefd(&self.name));
    }
}

/// A file descriptor in one of QEMU's fd sets (`add-fd`). Dropping it removes the file descriptor from the set; files
/// that QEMU has opened through the set stay open. QEMU closes removed file descriptors only while the machine is
/// running (seen with 7.2 to 11.1).
#[derive(Debug)]
#[must_use = "dropping it removes the descriptor from its set"]
pub struct FdsetFd {
    session: Session,
    added: Added,
}

#[derive(Clone, Copy, Debug, Deserialize)]
#[serde(rename_all = "kebab-case")]
struct Added {
    fdset_id: i64,
    fd: i64,
}

impl FdsetFd {
    /// Returns the id of the set.
    pub fn fdset_id(&self) -> i64 {
        self.added.fdset_id
    }

    /// Returns the file descriptor's number inside QEMU.
    pub fn fd(&self) -> i64 {
        self.added.fd
    }

    /// Returns the file name by which QEMU opens the file descriptor: `/dev/fdset/N`.
    pub fn path(&self) -> String {
        format!("/dev/fdset/{}", self.added.fdset_id)
    }
}

impl Drop for FdsetFd {
    fn drop(&mut self) {
        self.session.send_detached(remove_fd(self.added));
    }
}

impl Session {
    /// Passes a duplicate of `fd` to QEMU and stores it under a generated name (`getfd`).
    ///
    /// # Errors
    ///
    /// - [`ClientError::NoDescriptors`] if the session is not over a Unix socket.
    /// - [`ClientError::Descriptor`] if the file descriptor cannot be duplicated.
    /// - Those of [`Session::execute`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, QEMU closes the file descriptor.
    pub async fn getfd(&self, fd: impl AsFd) -> Result<NamedFd, ClientError> {
        // Names must not begin with a digit. Numbers are unique across all sessions of the process, because the names
        // in a monitor outlive the connection.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("qmp-client-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let request = Request::raw("getfd", Some(&json!({ "fdname": name })))?
            .orphan(Orphan::Always(Box::new(closefd(&name))));
        let _: Empty = self.call_request(request).with_fd(fd).send().await?;
        Ok(NamedFd { session: self.clone(), name })
    }

    /// Adds a duplicate of `fd` to a new fd set of QEMU, or to the set `fdset_id` (`add-fd`).
    ///
    /// # Errors
    ///
    /// As [`Session::getfd`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the file descriptor is removed from its set.
    pub async fn add_fd(&self, fd: impl AsFd, fdset_id: Option<i64>) -> Result<FdsetFd, ClientError> {
        let arguments = fdset_id.map(|id| json!({ "fdset-id": id }));
        let undo = |reply: &[u8]| command::decode("add-fd".into(), reply).ok().map(remove_fd);
        let request = Request::raw("add-fd", arguments.as_ref())?.orphan(Orphan::OnReply(Box::new(undo)));
        let added = self.call_request(request).with_fd(fd).send().await?;
        Ok(FdsetFd { session: self.clone(), added })
    }
}

fn closefd(name: &str) -> Outgoing {
    Outgoing::in_band(command::known("closefd", &json!({ "fdname": name })))
}

fn remove_fd(added: Added) -> Outgoing {
    Outgoing::in_band(command::known("remove-fd", &json!({ "fdset-id": added.fdset_id, "fd": added.fd })))
}
