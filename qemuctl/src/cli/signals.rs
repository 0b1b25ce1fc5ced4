//! The signals by which people and service managers ask the program to end.

use std::fmt;
use std::io;

use tokio::signal::unix::{Signal, SignalKind, signal};

use super::exit::Exit;
use super::failure::Failure;

/// SIGINT (Ctrl-C), SIGTERM and SIGHUP. From its making on, they no longer end the program by themselves.
#[derive(Debug)]
pub(crate) struct Signals {
    interrupt: Signal,
    terminate: Signal,
    hangup: Signal,
}

/// A signal that has come.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Asked {
    kind: SignalKind,
    name: &'static str,
}

impl Asked {
    /// The name as `kill -s` takes it, such as `INT`.
    pub(crate) fn short_name(self) -> &'static str {
        self.name.trim_start_matches("SIG")
    }

    /// What a program ends with that this signal ended.
    pub(crate) fn exit(self) -> Exit {
        Exit::Signal(self.kind.as_raw_value())
    }

    /// A failure because of the signal.
    pub(crate) fn failure(self, what: &str) -> Failure {
        Failure::new(self.exit(), format!("{what} was stopped by {self}"))
    }
}

impl fmt::Display for Asked {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name)
    }
}

impl Signals {
    pub(crate) fn listen() -> io::Result<Self> {
        Ok(Self {
            interrupt: signal(SignalKind::interrupt())?,
            terminate: signal(SignalKind::terminate())?,
            hangup: signal(SignalKind::hangup())?,
        })
    }

    /// Waits for the next one.
    ///
    /// # Cancel safety
    ///
    /// No signal is lost when the future is dropped.
    pub(crate) async fn next(&mut self) -> Asked {
        tokio::select! {
            _ = self.interrupt.recv() => Asked { kind: SignalKind::interrupt(), name: "SIGINT" },
            _ = self.terminate.recv() => Asked { kind: SignalKind::terminate(), name: "SIGTERM" },
            _ = self.hangup.recv() => Asked { kind: SignalKind::hangup(), name: "SIGHUP" },
        }
    }
}
