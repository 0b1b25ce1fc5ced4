//! The connections into a guest: its serial console and its agent. QEMU serves one client on each, so several programs
//! share them.

mod console;
mod evict;
mod expect;
mod line;
mod ring;
mod turn;

pub use console::{Console, ConsoleReader};
pub use expect::Match;
pub(crate) use line::{Device, LineState, open_line};
pub(crate) use turn::{Turn, lock_file, make_lock_file};
