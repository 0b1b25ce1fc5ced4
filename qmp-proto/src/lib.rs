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

mod decode;
#[allow(
    clippy::pedantic,
    clippy::large_enum_variant,
    clippy::too_many_arguments,
    reason = "generated: QEMU decides how many members and branches things have"
)]
mod generated;
#[cfg_attr(
    not(feature = "full"),
    allow(
        dead_code,
        unused_imports,
        unused_macros,
        reason = "a choice of few modules may not need every shape"
    )
)]
mod shape;
mod wire;

pub use decode::{DecodeError, decode, decode_reply, error_path};
pub use event::AnyEvent;
pub use generated::*;
pub use wire::{ErrorClass, TimedEvent, Timestamp, VersionInfo, VersionTriple};

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A QMP or guest-agent command: its arguments are the value, its name and reply type belong to the type.
pub trait Command: Serialize {
    /// The name on the wire, as in QEMU's reference manual.
    const NAME: &'static str;
    /// Whether QEMU takes the command out of band (`exec-oob`).
    const ALLOW_OOB: bool = false;
    /// Whether success is answered at all. Some guest-agent commands, such as `guest-shutdown`, only
    /// answer when they fail.
    const SUCCESS_RESPONSE: bool = true;
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
