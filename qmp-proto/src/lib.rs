//! The words of QMP, the QEMU Machine Protocol: one Rust type for every command, event, enum and struct.
//!
//! This crate never opens a socket, reads a file or looks at a clock: it only names things and knows how
//! they look as JSON.
//!
//! ```
//! use qmp_proto::{Command, QueryStatus, StatusInfo};
//!
//! assert_eq!(QueryStatus::NAME, "query-status");
//! let reply: StatusInfo = serde_json::from_str(r#"{"status": "running", "running": true}"#)?;
//! assert!(reply.running);
//! # Ok::<(), serde_json::Error>(())
//! ```

pub mod event;
mod slice;
mod wire;

pub use event::{AnyEvent, TimedEvent};
pub use slice::*;
pub use wire::{ErrorClass, Timestamp, VersionInfo, VersionTriple};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A QMP or guest-agent command: its arguments are the value, its name and reply type belong to the type.
pub trait Command: Serialize {
    /// The name on the wire, as in QEMU's reference manual.
    const NAME: &'static str;
    /// Whether QEMU takes the command out of band (`exec-oob`).
    const ALLOW_OOB: bool = false;
    /// What QEMU returns when the command succeeds.
    type Return: DeserializeOwned;
}

/// The data of one kind of QMP event.
pub trait Event: DeserializeOwned {
    /// The name on the wire, as in QEMU's reference manual.
    const NAME: &'static str;
}

/// The empty reply `{}` of a command that returns nothing. Members that a newer QEMU adds are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Empty {}
