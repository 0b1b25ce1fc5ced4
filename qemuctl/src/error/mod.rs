//! Everything that can go wrong, each with the operation, the object and the cause.

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

use crate::config::ConfigError;
use crate::reason::{ExitReason, GuestEnd};
use crate::state::State;

/// An operation on a VM that did not succeed.
///
/// `Debug` prints what `Display` does and what is beneath it, so that it can be read where a program's `main` returns it.
#[derive(thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
#[non_exhaustive]
pub enum Error {
    #[error("the VM name {name:?} is not possible: {reason}")]
    InvalidName { name: String, reason: &'static str },
    #[error("the name {name} is taken by {by}")]
    NameTaken { name: String, by: String },
    #[error(
        "no directory for sockets: set HOME, XDG_CACHE_HOME or XDG_RUNTIME_DIR, or `socket_dir` in the config"
    )]
    NoSocketDir,
    #[error(
        "no directory for what detached VMs keep: set HOME, XDG_STATE_HOME or XDG_RUNTIME_DIR, or `socket_dir` in the config"
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
        "the socket path {} has {length} bytes, {limit} are possible: set a shorter `socket_dir` or name",
        path.display()
    )]
    SocketPathTooLong { path: PathBuf, length: usize, limit: usize },
    #[error("cannot {action} {}", path.display())]
    Io { action: &'static str, path: PathBuf, source: io::Error },
    #[error(transparent)]
    Config(#[from] ConfigError),
    #[error(transparent)]
    Discovery(#[from] qemu_discovery::DiscoveryError),
    #[error(transparent)]
    Plan(#[from] qemu_argv::PlanError),
    #[error(transparent)]
    Launch(Box<LaunchFailure>),
    #[error("cannot attach to {}: other clients are using all of its monitors", socket.display())]
    Busy { socket: PathBuf },
    #[error("cannot attach to {}: QEMU is stopped or does not answer", socket.display())]
    Unresponsive { socket: PathBuf },
    #[error("cannot attach to {}", socket.display())]
    Attach { socket: PathBuf, source: ClientError },
    #[error("no running VM is known as {name}")]
    NotFound { name: String },
    #[error("{action}: {name} is not running any more: {reason}")]
    Gone { action: Cow<'static, str>, name: String, reason: ExitReason },
    #[error("{action}: the guest of {name} {end} meanwhile")]
    Interrupted { action: &'static str, name: String, end: GuestEnd },
    #[error("cannot {action} {name}: {reason}")]
    WrongState { action: &'static str, name: String, state: State, reason: String },
    #[error(
        "{action}: the tokio runtime that {name} was started or attached on has ended; attach to it again, or use one that lives longer"
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
    #[error("{action} {name}: {path} has the SHA-256 {guest} there and {host} here")]
    Damaged { action: &'static str, name: String, path: String, host: String, guest: String },
    #[error("{action} of {name} not done within {after:?}")]
    Timeout { action: &'static str, name: String, after: Duration },
    #[error("{action} of {name} is not possible: {reason}")]
    Unsupported { action: &'static str, name: String, reason: String },
}

impl Error {
    /// The same, told of the operation that was asked for instead of a command that it consists of.
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
