//! Waits for the end of a process without a thread or a timer.
//!
//! A pidfd becomes readable when its process ends. This is the one place that needs `unsafe`: tokio cannot see
//! that a descriptor it is to watch stays open, so the caller must vouch for it.

use std::io;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::Interest;
use tokio::io::unix::AsyncFd;

use super::{Process, ProcessExit};

/// How often it is looked whether the parent of a dead process has collected it.
const COLLECTED_AFTER: Duration = Duration::from_millis(5);

/// Wakes a task when a process has ended.
#[derive(Debug)]
pub struct Watcher(AsyncFd<Arc<Process>>);

impl Watcher {
    pub fn new(process: Arc<Process>) -> io::Result<Self> {
        // SAFETY: `as_raw_fd` of a `Process` always returns the pidfd that it owns, which stays open and the same
        // while it lives; the `AsyncFd` keeps it alive through the `Arc`.
        #[expect(unsafe_code, reason = "tokio has no safe way to watch a descriptor of another kind")]
        let watched = unsafe { AsyncFd::register_with_interest(process, Interest::READABLE) };
        Ok(Self(watched?))
    }

    /// Resolves when the process has ended, with its status.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn ended(&self) -> ProcessExit {
        loop {
            let Ok(mut ready) = self.0.readable().await else { return ProcessExit::Unknown };
            if let Some(exit) = self.0.get_ref().reap() {
                return exit;
            }
            if self.0.get_ref().is_dead() {
                // The process of another, whose parent is about to collect it.
                tokio::time::sleep(COLLECTED_AFTER).await;
                continue;
            }
            ready.clear_ready();
        }
    }
}
