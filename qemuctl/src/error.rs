//! Everything that can go wrong, each with the operation, the object and the cause.

use std::io;
use std::path::PathBuf;
use std::time::Duration;

use qmp_client::ClientError;

use crate::config::ConfigError;
use crate::guest::ExpectError;
use crate::launch::LaunchFailure;
use crate::reason::ExitReason;

/// An operation on a VM that did not succeed.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
#[non_exhaustive]
pub enum Error {
    #[error("the VM name {name:?} is not possible: {reason}")]
    InvalidName { name: String, reason: &'static str },
    #[error("the name {name} is taken by {by}")]
    NameTaken { name: String, by: String },
    #[error("no place for sockets: set HOME or XDG_CACHE_HOME, or `socket_dir` in the config")]
    NoSocketDir,
    #[error("no place for what detached VMs keep: set HOME or XDG_STATE_HOME, or `socket_dir` in the config")]
    NoStateDir,
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
    #[error("cannot attach to {}: another client has the monitor, or QEMU is stopped", socket.display())]
    Busy { socket: PathBuf },
    #[error("cannot attach to {}", socket.display())]
    Attach { socket: PathBuf, source: ClientError },
    #[error("no running VM is known as {name}")]
    NotFound { name: String },
    #[error("{action}: {name} is not running any more: {reason}")]
    Gone { action: &'static str, name: String, reason: ExitReason },
    #[error(transparent)]
    Qmp(#[from] ClientError),
    #[error(transparent)]
    Expect(#[from] ExpectError),
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

impl From<LaunchFailure> for Error {
    fn from(failure: LaunchFailure) -> Self {
        Self::Launch(Box::new(failure))
    }
}
