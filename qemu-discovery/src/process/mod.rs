//! Operating-system processes: how one is started, tied to this one, watched, and how it ended.
//!
//! Each QEMU is started here, be it for a moment or as a VM of `qemuctl`, and what `qemuctl` starts beside it. Nothing here knows
//! QMP. A process is held by a pidfd, so that a recycled process id is never signalled.

mod brief;
mod exec;
mod exit;
mod handle;
mod spawn;
mod stopped;
mod tail;
mod usage;
mod watcher;

pub use brief::Brief;
pub use exec::{Bond, FdMapping, Limits, Program};
pub use exit::ProcessExit;
pub use handle::Process;
pub use spawn::spawn;
pub use stopped::is_stopped;
pub use tail::Tail;
pub use usage::ResourceUsage;
pub use watcher::Watcher;
