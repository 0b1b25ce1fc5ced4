//! What one does inside a guest: its serial console and its agent.

mod access;
mod agent;
mod console;
mod copy;
mod expect;
mod ring;

pub use console::{Console, ConsoleReader};
pub use copy::{Copied, GuestSum};
pub use expect::{ExpectError, Expected};
pub use qmp_client::agent::{Agent, Exec, ExecOutput, Frozen, GuestFile, OpenMode, Output, Running};
