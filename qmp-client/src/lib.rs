//! A QMP client: it never loses a reply, never loses an event silently, and never hangs.
//!
//! A [`Session`] uses a Unix socket or any other stream. It never starts a process and knows nothing about virtual
//! machines. Note that a command that was sent is executed even if its caller stops waiting.
//!
//! Use it to talk to a running QEMU or guest agent. To start QEMU, or to learn how it ended, use `qemuctl`, which is
//! based on this crate. [`reconnect`] is for peers that are restarted.
//!
//! Features: `job` adds `Session::job`, which tracks a long-running job; `testing` is the module `testing`, a fake QEMU
//! for tests; `tracing` reports commands, events and the end of a session to a subscriber, without their contents.
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
mod connection;
mod descriptors;
mod error;
mod events;
#[cfg(feature = "job")]
mod job;
mod options;
mod pipeline;
mod printable;
pub mod reconnect;
mod session;
#[cfg(feature = "testing")]
pub mod testing;
mod trace;
mod wire;

pub use call::Call;
pub use connection::shared::Liveness;
pub use descriptors::{FdsetFd, NamedFd};
pub use error::{ClientError, CloseReason};
pub use events::{EventWait, Events, EventsError};
#[cfg(feature = "job")]
pub use job::{Job, JobEnd, JobError};
pub use options::{LineEnds, Options, OutOfBand};
pub use printable::Printable;
pub use session::Session;
pub use wire::message::Greeting;

/// Runs the example of the README as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
