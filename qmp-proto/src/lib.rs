//! The words of QMP, the QEMU Machine Protocol, and of the QEMU guest agent: one Rust type for every
//! command, event, enum and struct of QEMU 7.2 to 11.1 at once.
//!
//! This crate never opens a socket, reads a file or looks at a clock: it only names things and knows how
//! they look as JSON. The one surprising rule: a member of a reply is mandatory only if every one of these
//! releases has it, so that no release's reply is refused. Words, members, branches and events that a
//! newer QEMU adds are kept or ignored, never an error.
//!
//! Take it to write or read QMP by means of one's own. To talk to QEMU, take `qmp-client`, which uses this crate.
//!
//! ```
//! use qmp_proto::{BlockdevAdd, BlockdevOptions, BlockdevOptionsBranch, BlockdevOptionsNull};
//! use qmp_proto::{Command, QueryStatus, RunState, decode_reply};
//!
//! assert_eq!(QueryStatus::NAME, "query-status");
//! let reply = decode_reply::<QueryStatus>(r#"{"status": "running", "running": true}"#)?;
//! assert_eq!((reply.running, reply.status), (true, RunState::Running));
//!
//! // Mandatory members by `new`, optional ones by name; a union's branch is an enum with data.
//! let null = BlockdevOptionsNull { size: Some(4096), ..Default::default() };
//! let node = BlockdevOptions {
//!     node_name: Some("disk0".into()),
//!     ..BlockdevOptions::new(BlockdevOptionsBranch::NullCo(null))
//! };
//! assert_eq!(
//!     serde_json::to_string(&BlockdevAdd(node))?,
//!     r#"{"node-name":"disk0","driver":"null-co","size":4096}"#
//! );
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```
//!
//! # Features
//!
//! One feature a QAPI module, named as QEMU's reference manual names it: `run-state`, `block-core`, …;
//! a type comes with every module that needs it. `default` has what a manager of virtual machines
//! needs, `full` all. `qga` is the guest agent, in [`qga`]. `unstable` adds what QEMU calls unstable.
//! Commands are only written and replies only read, which keeps builds short; `both-directions` adds
//! the other way to every type.
//!
//! # Errors
//!
//! [`decode`] and [`decode_reply`] say at which path of a reply the trouble is. They look it up after
//! the failure instead of tracking it, so that a reply type's code is not compiled twice.

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
mod traits;
mod wire;

pub use decode::{DecodeError, decode, decode_reply, error_path};
pub use generated::event::AnyEvent;
pub use generated::*;
pub use traits::{Command, Empty, Event};
pub use wire::{ErrorClass, TimedEvent, Timestamp, VersionInfo, VersionTriple};

/// Runs the example of the README as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
