//! What one does inside a guest: its serial console and its agent.

mod access;
mod agent;
mod console;
mod expect;
mod ring;

pub use console::{Console, ConsoleReader};
pub use expect::{ExpectError, Expected};
