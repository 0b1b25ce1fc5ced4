//! Exit codes. They are documented in the help and the man page, and programs may rely on them.

use std::process::ExitCode;

use qemuctl::{ExitReason, ProcessExit};

/// The program's exit code.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Exit {
    /// Success; for `run`, the VM ended normally.
    Done,
    /// Failure; the message says why.
    Failed,
    /// Invalid command line; clap uses the same code.
    Usage,
    /// No such VM.
    NotFound,
    /// Invalid config, or an invalid request about the machine.
    BadConfig,
    /// Timed out.
    TimedOut,
    /// The guest did not shut down in time, so QEMU was stopped.
    Disobeyed,
    /// The guest's kernel panicked.
    GuestPanicked,
    /// A signal ended QEMU.
    Signal(i32),
    /// The exit code of QEMU, or of a program inside the guest.
    Code(i32),
}

/// The table printed by `--help`.
pub(crate) const HELP: &str = "\
Exit codes:
  0      done; for `run` and `wait`: the guest shut down, or QEMU was told to quit
  1      failed; the error message gives the reason
  2      invalid command line
  3      no such VM or machine
  4      invalid config
  5      timed out
  6      the guest did not shut down when asked, and QEMU was stopped
  10     the guest's kernel panicked
  128+N  signal N ended QEMU, such as 137 for SIGKILL
  other  `run`, `start` and `wait`: QEMU's own exit code, as a guest can set it";

impl Exit {
    /// Returns the exit code of `run`, `start` and `wait`: QEMU's own, unless that is 0 and hides a failure.
    pub(crate) fn of(exit: &qemuctl::Exit) -> Self {
        match (&exit.reason, exit.process) {
            (ExitReason::Killed { signal } | ExitReason::Crashed { signal, .. }, _) => Self::Signal(*signal),
            (ExitReason::Exited { code }, _) => Self::Code(*code),
            (_, ProcessExit::Code(code)) if code != 0 => Self::Code(code),
            (ExitReason::GuestPanicked, _) => Self::GuestPanicked,
            (ExitReason::Lost, _) => Self::Failed,
            _ => Self::Done,
        }
    }

    /// Whether this means success.
    pub(crate) fn is_done(self) -> bool {
        matches!(self, Self::Done | Self::Code(0))
    }
}

impl Exit {
    /// The code as a number.
    pub(crate) fn number(self) -> i32 {
        match self {
            Self::Done => 0,
            Self::Failed => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::BadConfig => 4,
            Self::TimedOut => 5,
            Self::GuestPanicked => 10,
            Self::Signal(signal) => 128 + signal,
            Self::Code(code) => code,
            Self::Disobeyed => 6,
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        // A code that does not fit into a byte, such as -1, must not become 0.
        Self::from(u8::try_from(exit.number()).unwrap_or(u8::MAX))
    }
}
