//! Access to the inside of a guest: its serial console and its agent.

mod access;
mod agent;
mod copy;
mod end;
mod process;

pub use copy::{CopyReport, GuestChecksum};
pub use process::GuestProcess;

pub use crate::channel::{Console, ConsoleReader, Match};
pub use crate::error::ExpectError;
pub use crate::reason::GuestEnd;
pub use qmp_client::agent::{Agent, Exec, ExecOutput, Frozen, GuestFile, GuestSignal, OpenMode, Output};
