//! How a process ended.

use std::fmt;

use nix::sys::signal::Signal;
use serde::{Deserialize, Serialize};

/// The exit status of a process.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ProcessExit {
    /// It exited with this code.
    Code(i32),
    /// It was ended by a signal.
    Signal {
        /// The number of the signal, such as 9 for SIGKILL.
        number: i32,
        /// Whether the kernel wrote a core dump.
        core_dumped: bool,
    },
    /// Unknown: it was not our child, or its status was collected elsewhere.
    Unknown,
}

impl ProcessExit {
    /// Whether the process exited with code 0.
    pub fn is_success(self) -> bool {
        self == Self::Code(0)
    }
}

impl fmt::Display for ProcessExit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Code(code) => write!(f, "exit code {code}"),
            Self::Signal { number, core_dumped } => {
                write!(f, "{}", SignalName(*number))?;
                if *core_dumped { f.write_str(" (core dumped)") } else { Ok(()) }
            }
            Self::Unknown => f.write_str("unknown exit status"),
        }
    }
}

/// Prints a signal's name, or its number where it has none (the real-time signals).
struct SignalName(i32);

impl fmt::Display for SignalName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Signal::try_from(self.0) {
            Ok(signal) => f.write_str(signal.as_str()),
            Err(_) => write!(f, "signal {}", self.0),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn reads_like_a_sentence() {
        let exits = [
            ProcessExit::Code(1),
            ProcessExit::Signal { number: 9, core_dumped: false },
            ProcessExit::Signal { number: 6, core_dumped: true },
            ProcessExit::Signal { number: 40, core_dumped: false },
            ProcessExit::Unknown,
        ];
        assert_eq!(
            exits.map(|exit| exit.to_string()),
            ["exit code 1", "SIGKILL", "SIGABRT (core dumped)", "signal 40", "unknown exit status"]
        );
    }
}
