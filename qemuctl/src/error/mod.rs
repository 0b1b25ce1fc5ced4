//! Errors: each names the operation, the object and the cause.
//!
//! [`explain`] prints one with all its sources.

mod cause;
mod expect;
mod explain;
mod launch;

pub use cause::Cause;
pub use expect::ExpectError;
pub use explain::explain;
pub use launch::{LaunchFailure, Phase};

use std::borrow::Cow;
use std::fmt;
use std::io;
use std::path::PathBuf;
use std::time::Duration;

use qmp_client::ClientError;

#[cfg(feature = "files")]
use crate::config::ConfigError;
use crate::reason::{ExitReason, GuestEnd};
use crate::state::State;

/// The error of an operation on a VM.
///
/// `Debug` prints what `Display` does plus all sources, so that the error is readable when a program's `main` returns
/// it.
#[derive(thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
#[non_exhaustive]
pub enum Error {
    #[error("invalid VM name {name:?}: {reason}")]
    InvalidName { name: String, reason: &'static str },
    #[error("a VM called {name} is already running ({by})")]
    NameTaken { name: String, by: String },
    #[error(
        "no directory for sockets: set HOME, XDG_CACHE_HOME or XDG_RUNTIME_DIR, or `socket_dir` in the config"
    )]
    NoSocketDir,
    #[error(
        "no directory for the state of detached VMs: set HOME, XDG_STATE_HOME or XDG_RUNTIME_DIR, or `socket_dir` in the config"
    )]
    NoStateDir,
    #[error("no directory for machines: set HOME, XDG_DATA_HOME or QEMUCTL_HOME")]
    NoHome,
    #[error("the directory {} is not safe: {reason}", path.display())]
    HomeUnsafe { path: PathBuf, reason: String },
    #[error("no machine called {name} in {}", home.display())]
    NoSuchMachine { name: String, home: PathBuf },
    #[error("a machine called {name} already exists in {}", home.display())]
    MachineExists { name: String, home: PathBuf },
    #[error("{name} is running{by}")]
    MachineRuns { name: String, by: String },
    #[error("another command is changing {name}")]
    MachineBusy { name: String },
    #[error("the socket directory {} is not safe: {reason}", path.display())]
    SocketDirUnsafe { path: PathBuf, reason: String },
    #[error(
        "the socket path {} is too long ({length} bytes, at most {limit}): use a shorter `socket_dir` or name",
        path.display()
    )]
    SocketPathTooLong { path: PathBuf, length: usize, limit: usize },
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[cfg(feature = "files")]
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Discovery(#[from] qemu_discovery::DiscoveryError),
    #[error(transparent)]
    Plan(#[from] qemu_argv::PlanError),
    #[error(transparent)]
    Launch(Box<LaunchFailure>),
    #[error("cannot attach to {}: all of its monitors are in use by other clients", socket.display())]
    Busy { socket: PathBuf },
    #[error("cannot attach to {}: QEMU is stopped or does not answer", socket.display())]
    Unresponsive { socket: PathBuf },
    #[error("cannot attach to {}", socket.display())]
    Attach { socket: PathBuf, source: ClientError },
    #[error("no running VM named {name}")]
    NotFound { name: String },
    #[error("{action}: {name} is no longer running: {reason}")]
    Gone { action: Cow<'static, str>, name: String, reason: ExitReason },
    #[error("{action}: the guest of {name} {end} in the meantime")]
    Interrupted { action: &'static str, name: String, end: GuestEnd },
    #[error("cannot {action} {name}: {reason}")]
    WrongState { action: &'static str, name: String, state: State, reason: String },
    #[error(
        "{action}: the tokio runtime that {name} was started or attached on has ended; attach again, or use a runtime that lives longer"
    )]
    Unsupervised { action: Cow<'static, str>, name: String },
    #[error(transparent)]
    Qmp(#[from] ClientError),
    #[error(transparent)]
    Expect(#[from] ExpectError),
    #[error("the {what} of {name} is in use by {by}")]
    InUse { name: String, what: &'static str, by: String },
    #[error("{name} has no {what}")]
    Missing { name: String, what: String },
    #[error(transparent)]
    Topology(#[from] qemu_argv::plan::topology::TopologyError),
    #[error("{device} of {name} is still plugged in: {why}")]
    StillPlugged { name: String, device: String, why: String },
    #[error(
        "{action} {name}: checksum mismatch for {path}: SHA-256 {guest} in the guest, {host} on the host"
    )]
    Damaged { action: &'static str, name: String, path: String, host: String, guest: String },
    #[error("{action} {name}: timed out after {after:?}")]
    Timeout { action: &'static str, name: String, after: Duration },
    #[error("{action} {name} failed: {reason}")]
    Unsupported { action: &'static str, name: String, reason: String },
}

impl Error {
    /// Renames the operation to the one the caller asked for.
    pub(crate) fn of(self, operation: &'static str) -> Self {
        match self {
            Self::Gone { name, reason, .. } => Self::Gone { action: operation.into(), name, reason },
            other => other,
        }
    }
}

impl fmt::Debug for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&explain(self))
    }
}

impl From<LaunchFailure> for Error {
    fn from(failure: LaunchFailure) -> Self {
        Self::Launch(Box::new(failure))
    }
}
