//! Exit codes. They are documented in the help and in the man page: programs may rely on them.

use std::process::ExitCode;

use qemuctl::ExitReason;

/// What the program ends with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Done; for `run`: the VM ended in good order.
    Done,
    /// Not done; the message says why.
    Failed,
    /// The command line is not valid; clap ends with the same code.
    Usage,
    /// There is no such VM.
    NotFound,
    /// The config file, or what was asked of the machine, is not valid.
    BadConfig,
    /// The time was up.
    TimedOut,
    /// The guest's kernel panicked.
    GuestPanicked,
    /// A signal ended QEMU.
    Signal(i32),
    /// The exit code of QEMU, or of a program inside the guest.
    Code(i32),
}

/// The table in the help.
pub(crate) const HELP: &str = "\
Exit codes:
  0      done; for `run`: the guest shut down, or was stopped as asked
  1      not done; the message says why
  2      the command line is not valid
  3      there is no such VM
  4      the config is not valid
  5      the time was up
  10     the guest's kernel panicked
  128+N  signal N ended QEMU, such as 137 for SIGKILL
  other  `run`: QEMU's own exit code";

impl Exit {
    /// What `run` and `wait` end with.
    pub(crate) fn of(reason: &ExitReason) -> Self {
        match reason {
            ExitReason::GuestPanicked => Self::GuestPanicked,
            ExitReason::Killed { signal } | ExitReason::Crashed { signal, .. } => Self::Signal(*signal),
            ExitReason::Exited { code } => Self::Code(*code),
            ExitReason::Lost => Self::Failed,
            _ => Self::Done,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        let code = match exit {
            Exit::Done => 0,
            Exit::Failed => 1,
            Exit::Usage => 2,
            Exit::NotFound => 3,
            Exit::BadConfig => 4,
            Exit::TimedOut => 5,
            Exit::GuestPanicked => 10,
            Exit::Signal(signal) => 128 + signal,
            Exit::Code(code) => code,
        };
        // What does not fit a byte, such as -1, is a failure still.
        Self::from(u8::try_from(code).unwrap_or(u8::MAX))
    }
}
