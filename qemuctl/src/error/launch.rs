//! A failed start, told so that one can act on it.

use std::fmt;

use qmp_client::Printable;

use qemu_discovery::process::ProcessExit;

use super::cause::Cause;
use super::explain::explain;

/// The step of a launch, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Sockets, locks and descriptors are made ready.
    Prepare,
    /// The process is started.
    Spawn,
    /// QEMU sets the machine up; ends with its reply to `qmp_capabilities`.
    Handshake,
    /// Consoles and events are connected.
    Connect,
    /// The guest is let go.
    Run,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepare => "preparing",
            Self::Spawn => "starting the process",
            Self::Handshake => "setting up the machine",
            Self::Connect => "connecting the console",
            Self::Run => "letting the guest go",
        })
    }
}

/// Why a VM did not start, and everything that QEMU said about it. Nothing of the VM is left.
///
/// `Debug` prints what `Display` does.
#[non_exhaustive]
pub struct LaunchFailure {
    /// The VM's name.
    pub name: String,
    /// How far the launch came.
    pub phase: Phase,
    /// The class of the failure.
    pub cause: Cause,
    /// The whole command, quoted for a shell, without secrets.
    pub command: String,
    /// How QEMU's process ended. `None` if it never started, or was ended by us.
    pub exit: Option<ProcessExit>,
    /// The last lines of QEMU's output.
    pub output: Vec<String>,
    /// The last lines of the guest's console.
    pub console: Vec<String>,
    /// The error beneath, where there is one.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl LaunchFailure {
    /// What failed, why and when, in one line: the first of what `Display` prints.
    pub fn headline(&self) -> String {
        let mut line = format!("cannot launch {}: {}", self.name, self.cause);
        if let Some(source) = &self.source {
            line = format!("{line}: {}", explain(source.as_ref()));
        }
        line = format!("{line} while {}", self.phase);
        match self.exit {
            Some(exit) => format!("{line} (QEMU ended with {exit})"),
            None => line,
        }
    }
}

impl fmt::Debug for LaunchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Display::fmt(self, f)
    }
}

impl fmt::Display for LaunchFailure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.headline())?;
        for line in &self.output {
            write!(f, "\n  qemu: {}", Printable::line(line))?;
        }
        for line in &self.console {
            write!(f, "\n  console: {}", Printable::line(line))?;
        }
        if let Some(advice) = self.cause.advice() {
            write!(f, "\n  help: {advice}")?;
        }
        write!(f, "\n  command: {}", self.command.replace('\n', "\n  "))
    }
}

impl std::error::Error for LaunchFailure {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        self.source.as_deref().map(|source| source as _)
    }
}
