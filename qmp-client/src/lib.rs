//! A QMP line to QEMU: it never loses a reply, never loses an event silently, and never hangs.
//!
//! A [`Session`] speaks over a Unix socket or any other stream. It never starts a process and does not
//! know what a virtual machine is. One rule may surprise: a command that was sent is carried out even if
//! its caller stops waiting.
//!
//! Take it to talk to a QEMU, or to a guest's agent, that is there already. To start QEMU, or to know how it ended, take
//! `qemuctl`, which uses this crate. The feature `tracing` tells a subscriber of commands, events and ends, without
//! their contents.
//!
//! ```no_run
//! # async fn example() -> Result<(), Box<dyn std::error::Error>> {
//! use qmp_client::{Options, Session};
//! use qmp_proto::{Cont, QueryStatus};
//!
//! let session = Session::connect("/run/vm/qmp.sock", &Options::default()).await?;
//! let mut events = session.events();
//! session.execute(Cont {}).await?;
//! println!("{:?}", session.execute(QueryStatus {}).await?.status);
//! println!("{:?}", events.recv().await?.event);
//! # Ok(())
//! # }
//! ```

pub mod agent;
mod call;
mod command;
mod connect;
mod descriptors;
mod envelope;
mod error;
mod events;
mod exchange;
mod fd;
mod framing;
mod handshake;
mod line;
mod link;
mod message;
mod options;
mod outgoing;
mod session;
mod sync;
mod task;
mod trace;
mod unix;

pub use call::Call;
pub use descriptors::{FdsetFd, NamedFd};
pub use error::{ClientError, CloseReason};
pub use events::{EventWait, Events, EventsError};
pub use link::Liveness;
pub use message::Greeting;
pub use options::{Options, OutOfBand};
pub use session::Session;

/// Runs the example of the README as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
