//! Formats a plan as command-line arguments and JSON, without making any decisions.

mod command_line;
mod json;

use crate::plan::Plan;

pub use command_line::CommandLine;
#[cfg(feature = "import")]
pub(crate) use command_line::redact;

impl Plan {
    /// Returns the command line of this machine.
    pub fn command_line(&self) -> CommandLine {
        CommandLine::new(self)
    }
}
