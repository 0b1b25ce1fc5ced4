//! Descriptors that QEMU holds for us, taken back when their guards are dropped.
//!
//! QEMU's names for descriptors survive a reconnect, so a long-lived monitor would leak what nobody gives back.

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

/// A descriptor that QEMU knows by name (`getfd`). Dropping it makes QEMU close the descriptor, unless a
/// command has taken it over meanwhile, as `add_client` and `netdev_add` do.
#[derive(Debug)]
#[must_use = "dropping it makes QEMU close the descriptor"]
pub struct NamedFd {
    session: Session,
    name: String,
}

impl NamedFd {
    /// The name to be used in commands, such as the `fdname` of `add_client`.
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl Drop for NamedFd {
    fn drop(&mut self) {
        self.session.send_detached(closefd(&self.name));
    }
}

/// A descriptor in one of QEMU's descriptor sets (`add-fd`). Dropping it removes the descriptor from the
/// set; what QEMU has opened through the set stays open. QEMU closes what was removed only while the
/// machine runs (seen on 7.2 to 11.1).
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
    /// The set's number.
    pub fn fdset_id(&self) -> i64 {
        self.added.fdset_id
    }

    /// The descriptor's number inside QEMU.
    pub fn fd(&self) -> i64 {
        self.added.fd
    }

    /// The file name by which QEMU opens the descriptor: `/dev/fdset/N`.
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
    /// Hands a duplicate of `fd` to QEMU, under a name of our choice (`getfd`).
    ///
    /// # Errors
    ///
    /// - [`ClientError::NoDescriptors`] if the session is not over a Unix socket.
    /// - [`ClientError::Descriptor`] if the descriptor cannot be duplicated.
    /// - Those of [`Session::execute`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, QEMU is told to close the descriptor.
    pub async fn getfd(&self, fd: impl AsFd) -> Result<NamedFd, ClientError> {
        // QEMU's names may not begin with a digit. Numbers go on over all sessions of the process, because the
        // names in a monitor outlive the connection.
        static NEXT: AtomicU64 = AtomicU64::new(0);
        let name = format!("qmp-client-{}", NEXT.fetch_add(1, Ordering::Relaxed));
        let request = Request::raw("getfd", Some(&json!({ "fdname": name })))?
            .orphan(Orphan::Always(Box::new(closefd(&name))));
        let _: Empty = self.call_request(request).with_fd(fd).send().await?;
        Ok(NamedFd { session: self.clone(), name })
    }

    /// Adds a duplicate of `fd` to a descriptor set of QEMU's: a new one, or the set `fdset_id` (`add-fd`).
    ///
    /// # Errors
    ///
    /// As [`Session::getfd`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the descriptor is removed from its set.
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
