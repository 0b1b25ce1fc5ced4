//! The deadlines of callers.

use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::state::{Patience, State};
use super::{Pipeline, Ticket};

impl Pipeline {
    /// Sets the caller's deadline; with `extension`, postpones it while bytes of its command are still being written.
    pub(crate) fn wait_until(&mut self, ticket: Ticket, until: Instant, extension: Option<Duration>) {
        self.callers[ticket.0].patience = match extension {
            None => Patience::Until(until),
            Some(after) => Patience::Extended { until, after, progress: self.progress(ticket) },
        };
    }

    /// Times out the callers whose deadline has passed. Returns whom to wake, and the next deadline.
    pub(crate) fn expire(&mut self, now: Instant) -> (Vec<Waker>, Option<Instant>) {
        let (mut wakers, mut next) = (Vec::new(), None);
        for number in 0..self.callers.len() {
            let caller = &self.callers[number];
            if !matches!(caller.state, State::Queued(_) | State::Sent(_)) {
                continue;
            }
            let (until, extension) = match caller.patience {
                Patience::Endless | Patience::Over => continue,
                Patience::Until(until) => (until, None),
                Patience::Extended { until, after, progress } => (until, Some((after, progress))),
            };
            let progress = self.progress(Ticket(number));
            let caller = &mut self.callers[number];
            let due = if until > now {
                until
            } else if let Some((after, before)) = extension
                && progress > before
                && let Some(until) = now.checked_add(after)
            {
                caller.patience = Patience::Extended { until, after, progress };
                until
            } else {
                caller.patience = Patience::Over;
                wakers.extend(caller.waker.take());
                continue;
            };
            next = Some(next.map_or(due, |next: Instant| next.min(due)));
        }
        (wakers, next)
    }

    /// Returns the number of bytes written, up to the end of this command. It grows while QEMU reads.
    pub(crate) fn progress(&self, ticket: Ticket) -> u64 {
        match self.callers[ticket.0].state {
            State::Sent(id) => {
                self.flights[id].as_ref().map_or(self.written, |flight| flight.end.min(self.written))
            }
            _ => self.written,
        }
    }
}
