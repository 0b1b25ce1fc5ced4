//! Prints a plan: the arguments of a command line, and JSON. Everything is decided before.

mod command_line;
mod json;

use crate::plan::Plan;

pub use command_line::CommandLine;
#[cfg(feature = "import")]
pub(crate) use command_line::redact;

impl Plan {
    /// The command line that makes this machine.
    pub fn command_line(&self) -> CommandLine {
        CommandLine::new(self)
    }
}
