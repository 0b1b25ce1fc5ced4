//! Watching a VM: events, the state they announce, and the end of the process.

mod supervisor;
mod watched;

pub(crate) use supervisor::watch_over;
pub(crate) use watched::Watched;

use std::time::Duration;

use crate::reason::ExitReason;
use qemu_discovery::process::{ProcessExit, ResourceUsage};

/// How long a killed process is waited for. The kernel may have gigabytes to free first.
pub(crate) const KILL_LIMIT: Duration = Duration::from_secs(10);

/// How a VM came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit {
    /// Why.
    pub reason: ExitReason,
    /// How QEMU's process ended. Known only of a process that was started here.
    pub process: ProcessExit,
    /// What QEMU's process used. Known only of a process that was started here.
    pub usage: Option<ResourceUsage>,
}

impl Exit {
    /// The end of a VM of which nothing is known.
    pub(crate) fn lost() -> Self {
        Self { reason: ExitReason::Lost, process: ProcessExit::Unknown, usage: None }
    }
}
