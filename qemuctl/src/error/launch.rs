//! The error of a failed launch.

use std::fmt;

use qmp_client::Printable;

use qemu_discovery::process::ProcessExit;

use super::cause::Cause;
use super::explain::explain;

/// The step of a launch, in order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Phase {
    /// Sockets, locks and file descriptors are prepared.
    Prepare,
    /// The process is started.
    Spawn,
    /// QEMU sets up the machine; ends with its reply to `qmp_capabilities`.
    Handshake,
    /// Consoles and events are connected.
    Connect,
    /// The guest's CPUs are started.
    Run,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Prepare => "preparing",
            Self::Spawn => "starting the process",
            Self::Handshake => "setting up the machine",
            Self::Connect => "connecting the console",
            Self::Run => "starting the guest's CPUs",
        })
    }
}

/// Why a VM did not start, with QEMU's output. Nothing of the VM is left behind.
///
/// `Debug` prints what `Display` does.
#[non_exhaustive]
pub struct LaunchFailure {
    /// The VM's name.
    pub name: String,
    /// The step that failed.
    pub phase: Phase,
    /// The class of the failure.
    pub cause: Cause,
    /// The command line, quoted for a shell, without secrets.
    pub command: String,
    /// How QEMU's process ended. `None` if it never started, or was stopped by the launcher.
    pub exit: Option<ProcessExit>,
    /// The last lines of QEMU's output.
    pub output: Vec<String>,
    /// The last lines of the guest's console.
    pub console: Vec<String>,
    /// The underlying error, if any.
    pub source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl LaunchFailure {
    /// Returns what failed, why and when: the first line of `Display`.
    pub fn headline(&self) -> String {
        let mut line = format!("cannot start {}: {}", self.name, self.cause);
        if let Some(source) = &self.source {
            line = format!("{line}: {}", explain(source.as_ref()));
        }
        line = format!("{line} while {}", self.phase);
        match self.exit {
            Some(exit) => format!("{line} (QEMU exited with {exit})"),
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
