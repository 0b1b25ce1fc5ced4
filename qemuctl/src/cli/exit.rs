//! Exit codes. They are documented in the help and in the man page: programs may rely on them.

use std::process::ExitCode;

use qemuctl::{ExitReason, ProcessExit};

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
    /// The guest was asked to shut down and did not in time, so QEMU was stopped.
    Disobeyed,
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
  0      done; for `run` and `wait`: the guest shut down, or QEMU was told to quit
  1      failed; the message says why
  2      the command line is not valid
  3      there is no such VM
  4      the config is not valid
  5      timed out
  6      the guest did not shut down when asked, and QEMU was stopped
  10     the guest's kernel panicked
  128+N  signal N ended QEMU, such as 137 for SIGKILL
  other  `run`, `start` and `wait`: QEMU's own exit code, as a guest can set it";

impl Exit {
    /// What `run`, `start` and `wait` end with: QEMU's own code, unless that is 0 and hides a failure.
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

    /// Whether it is success to who looks at the code.
    pub(crate) fn is_done(self) -> bool {
        matches!(self, Self::Done | Self::Code(0))
    }
}

impl Exit {
    /// The number that the program ends with.
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
        // What does not fit a byte, such as -1, is a failure still.
        Self::from(u8::try_from(exit.number()).unwrap_or(u8::MAX))
    }
}
