//! Why a VM ended, derived from everything that is known, and what ends a guest.

use std::fmt;

use qmp_proto::event::Shutdown;
use qmp_proto::{AnyEvent, GuestPanicAction, ShutdownCause};
use serde::{Deserialize, Serialize};

use crate::state::{State, word};
use qemu_discovery::process::ProcessExit;

/// Why a VM ended.
///
/// QEMU exits with 0 after `quit`, SIGTERM and a shutdown of the guest alike, so the reason is derived from its last
/// events (`SHUTDOWN`, `GUEST_PANICKED`) and from how its process ended.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ExitReason {
    /// The guest shut itself down.
    GuestShutdown,
    /// The guest rebooted, and the VM was configured to end then.
    GuestReset,
    /// The guest's kernel panicked.
    GuestPanicked,
    /// A monitor client made QEMU quit.
    HostQuit,
    /// A monitor client reset the VM, and the VM was configured to end then.
    HostReset,
    /// QEMU was asked to end by SIGTERM, SIGINT or SIGHUP.
    HostSignal,
    /// QEMU's window was closed.
    HostUi,
    /// QEMU was killed by a signal.
    Killed {
        /// The number of the signal, such as 9 for SIGKILL.
        signal: i32,
    },
    /// QEMU crashed: it aborted, or was ended by a fault.
    Crashed {
        /// The number of the signal, such as 11 for SIGSEGV.
        signal: i32,
        /// Whether the kernel wrote a core dump.
        core_dumped: bool,
    },
    /// QEMU exited with this code. A guest can choose the code with `isa-debug-exit`, RISC-V's test device or
    /// semihosting. This is the same for all versions of QEMU, although some announce such an end as a shutdown or a
    /// panic.
    Exited {
        /// The exit code.
        code: i32,
    },
    /// QEMU shut down for a reason that is unknown to this library; contains QEMU's word.
    Other(String),
    /// The process is gone and its exit status is not available, because it was not started by this process.
    Lost,
}

impl ExitReason {
    /// Whether the VM was ended by its guest or on request. An exit code other than 0 is not orderly, even if the guest
    /// chose it.
    pub fn is_orderly(&self) -> bool {
        matches!(
            self,
            Self::Exited { code: 0 }
                | Self::GuestShutdown
                | Self::GuestReset
                | Self::HostQuit
                | Self::HostReset
                | Self::HostSignal
                | Self::HostUi
        )
    }

    /// Returns the final state of the VM.
    pub fn state(&self) -> State {
        if self.is_orderly() || matches!(self, Self::Other(_)) { State::Shutdown } else { State::Crashed }
    }
}

impl fmt::Display for ExitReason {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::GuestShutdown => f.write_str("guest shut down"),
            Self::GuestReset => f.write_str("guest reset"),
            Self::GuestPanicked => f.write_str("guest panicked"),
            Self::HostQuit => f.write_str("host quit"),
            Self::HostReset => f.write_str("host reset"),
            Self::HostSignal => f.write_str("host signal"),
            Self::HostUi => f.write_str("window closed"),
            Self::Killed { signal } => {
                write!(f, "killed by {}", ProcessExit::Signal { number: *signal, core_dumped: false })
            }
            Self::Crashed { signal, core_dumped } => {
                write!(
                    f,
                    "crashed with {}",
                    ProcessExit::Signal { number: *signal, core_dumped: *core_dumped }
                )
            }
            Self::Exited { code } => write!(f, "QEMU exited with code {code}"),
            Self::Other(word) => write!(f, "shut down ({word})"),
            Self::Lost => f.write_str("unknown: the process is gone and its exit status was not available"),
        }
    }
}

/// How a guest ended, together with everything running in it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GuestEnd {
    /// It was reset, by itself or from outside.
    Reset,
    /// Its kernel panicked.
    Panicked,
    /// It shut down. The end of its VM may follow.
    ShutDown,
}

impl fmt::Display for GuestEnd {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Reset => "was reset",
            Self::Panicked => "panicked",
            Self::ShutDown => "shut down",
        })
    }
}

/// What QEMU has announced about its end so far. Gets all events, in order.
#[derive(Clone, Debug, Default)]
pub(crate) struct LastWords {
    shutdown: Option<Shutdown>,
    panicked: bool,
    goodbye: bool,
}

impl LastWords {
    pub(crate) fn hear(&mut self, event: &AnyEvent) {
        match event {
            AnyEvent::Shutdown(shutdown) => {
                self.shutdown = Some(shutdown.clone());
                self.goodbye = true;
            }
            AnyEvent::GuestPanicked(panic) => {
                self.panicked = true;
                // SHUTDOWN follows.
                self.goodbye = panic.action == GuestPanicAction::Poweroff;
            }
            // With `-no-shutdown`, it pauses instead of ending.
            AnyEvent::Stop(_) if self.shutdown.is_some() => self.goodbye = false,
            AnyEvent::Resume(_) => self.goodbye = false,
            // The machine was reset, for example after a pause at shutdown.
            AnyEvent::Reset(_) => *self = Self::default(),
            _ => {}
        }
    }

    /// Whether QEMU has announced its end.
    pub(crate) fn are_goodbye(&self) -> bool {
        self.goodbye
    }

    /// Returns the reason, given how the process ended.
    pub(crate) fn reason(&self, exit: ProcessExit) -> ExitReason {
        use nix::sys::signal::Signal::{SIGHUP, SIGINT, SIGKILL, SIGTERM};
        match exit {
            ProcessExit::Signal { number, .. } if number == SIGKILL as i32 => {
                return ExitReason::Killed { signal: number };
            }
            ProcessExit::Signal { number, .. }
                if [SIGTERM, SIGINT, SIGHUP].iter().any(|&signal| signal as i32 == number) =>
            {
                return ExitReason::Killed { signal: number };
            }
            ProcessExit::Signal { number, core_dumped } => {
                return ExitReason::Crashed { signal: number, core_dumped };
            }
            _ => {}
        }
        match (&self.shutdown, exit) {
            // Newer versions of QEMU announce the end by a test device as an ordinary shutdown or a panic, so the exit
            // code decides.
            (Some(shutdown), ProcessExit::Code(code)) if code != 0 && !self.panicked && shutdown.guest => {
                ExitReason::Exited { code }
            }
            (Some(shutdown), _) => self.shutdown_reason(shutdown),
            (None, ProcessExit::Code(code)) if self.panicked && code != 0 => ExitReason::GuestPanicked,
            (None, ProcessExit::Code(code)) => ExitReason::Exited { code },
            (None, _) => ExitReason::Lost,
        }
    }

    fn shutdown_reason(&self, shutdown: &Shutdown) -> ExitReason {
        match &shutdown.reason {
            ShutdownCause::GuestPanic => ExitReason::GuestPanicked,
            ShutdownCause::GuestShutdown if self.panicked => ExitReason::GuestPanicked,
            ShutdownCause::GuestShutdown => ExitReason::GuestShutdown,
            ShutdownCause::GuestReset | ShutdownCause::SubsystemReset => ExitReason::GuestReset,
            ShutdownCause::HostQmpQuit => ExitReason::HostQuit,
            ShutdownCause::HostQmpSystemReset => ExitReason::HostReset,
            ShutdownCause::HostSignal => ExitReason::HostSignal,
            ShutdownCause::HostUi => ExitReason::HostUi,
            other => ExitReason::Other(word(other)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn heard(events: &[(&str, &str)]) -> LastWords {
        let mut words = LastWords::default();
        for (name, data) in events {
            let data: serde_json::Value = serde_json::from_str(data).expect("JSON");
            words.hear(&AnyEvent::decode(name, &data));
        }
        words
    }

    /// The reason after these events and this end.
    fn reason(events: &[(&str, &str)], exit: ProcessExit) -> String {
        heard(events).reason(exit).to_string()
    }

    #[test]
    fn qemu_says_goodbye_unless_it_pauses_instead() {
        let said = |events: &[(&str, &str)]| heard(events).are_goodbye();
        let shutdown = ("SHUTDOWN", r#"{"guest": true, "reason": "guest-shutdown"}"#);
        let panic = |action| ("GUEST_PANICKED", action);
        let (poweroff, pause) = (panic(r#"{"action": "poweroff"}"#), panic(r#"{"action": "pause"}"#));
        let (stop, resume) = (("STOP", "{}"), ("RESUME", "{}"));
        let reset = ("RESET", r#"{"guest": true, "reason": "guest-reset"}"#);
        assert!(said(&[stop, shutdown]));
        assert!(said(&[poweroff]) && said(&[poweroff, stop]) && said(&[poweroff, stop, shutdown]));
        assert!(!said(&[]) && !said(&[stop]) && !said(&[pause]) && !said(&[pause, stop]));
        assert!(!said(&[shutdown, stop]) && !said(&[shutdown, reset]) && !said(&[shutdown, resume]));
    }

    #[test]
    fn the_reason_is_put_together_from_all_that_is_known() {
        let shutdown = |reason: &str| format!(r#"{{"guest": true, "reason": "{reason}"}}"#);
        let ok = ProcessExit::Code(0);
        let signal = |number| ProcessExit::Signal { number, core_dumped: false };
        let panic = ("GUEST_PANICKED", r#"{"action": "poweroff"}"#);
        let reset = ("RESET", r#"{"guest": true, "reason": "guest-reset"}"#);
        let said = |reason: &str, exit| self::reason(&[("SHUTDOWN", &shutdown(reason))], exit);
        let reasons = [
            said("guest-shutdown", ok),
            said("guest-reset", ok),
            said("guest-panic", ok),
            said("host-qmp-quit", ok),
            said("host-qmp-system-reset", ok),
            said("host-signal", ok),
            said("host-ui", ok),
            said("something-new", ok),
            // It was about to shut down when it was killed: that it was killed is what counts.
            said("guest-shutdown", signal(9)),
            said("guest-shutdown", ProcessExit::Unknown),
            reason(&[panic, ("SHUTDOWN", &shutdown("guest-shutdown"))], ok),
            reason(&[panic], ProcessExit::Code(1)),
            // The guest chose the code, as by `isa-debug-exit`.
            said("guest-shutdown", ProcessExit::Code(7)),
            said("guest-panic", ProcessExit::Code(3)),
            reason(&[panic, ("SHUTDOWN", &shutdown("guest-panic"))], ProcessExit::Code(1)),
            // After a reset the guest has begun anew.
            reason(&[panic, reset, ("SHUTDOWN", &shutdown("guest-shutdown"))], ok),
            reason(&[], ok),
            reason(&[], ProcessExit::Code(15)),
            reason(&[], signal(15)),
            reason(&[], signal(11)),
            reason(&[], ProcessExit::Unknown),
        ];
        insta::assert_snapshot!(reasons.join("\n"), @"
        guest shut down
        guest reset
        guest panicked
        host quit
        host reset
        host signal
        window closed
        shut down (something-new)
        killed by SIGKILL
        guest shut down
        guest panicked
        guest panicked
        QEMU exited with code 7
        QEMU exited with code 3
        guest panicked
        guest shut down
        QEMU exited with code 0
        QEMU exited with code 15
        killed by SIGTERM
        crashed with SIGSEGV
        unknown: the process is gone and its exit status was not available
        ");
    }
}
