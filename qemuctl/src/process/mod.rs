//! Operating-system processes: how one is started, tied to this one, watched, and how it ended.
//!
//! Nothing here knows QMP. A process is held by a pidfd, so that a recycled process id is never signalled.

mod exec;
mod exit;
mod handle;
mod spawn;
mod tail;
mod watcher;

pub(crate) use exec::{Bond, FdMapping, Program};
pub use exit::ProcessExit;
pub(crate) use handle::Process;
pub(crate) use spawn::spawn;
pub(crate) use tail::Tail;
pub(crate) use watcher::Watcher;
