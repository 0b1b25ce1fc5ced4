//! Supervision of a VM: its events, its state, and the end of its process.

mod supervisor;
mod watched;

pub(crate) use supervisor::watch_over;
pub(crate) use watched::Watched;

use std::time::Duration;

use crate::reason::ExitReason;
use qemu_discovery::process::{ProcessExit, ResourceUsage};

/// How long to wait for a killed process. The kernel may have to free gigabytes first.
pub(crate) const KILL_LIMIT: Duration = Duration::from_secs(10);

/// How a VM ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit {
    /// The reason.
    pub reason: ExitReason,
    /// How QEMU's process ended. Known only if it was started by this process.
    pub process: ProcessExit,
    /// The resources used by QEMU's process. Known only if it was started by this process.
    pub usage: Option<ResourceUsage>,
}

impl Exit {
    /// The end of a VM about which nothing is known.
    pub(crate) fn lost() -> Self {
        Self { reason: ExitReason::Lost, process: ProcessExit::Unknown, usage: None }
    }
}
