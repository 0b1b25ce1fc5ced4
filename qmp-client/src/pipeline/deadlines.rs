//! How long each caller waits.

use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use super::state::{Patience, State};
use super::{Pipeline, Ticket};

impl Pipeline {
    /// Has a caller wait until then; and for `extension` more whenever more of its command was written meanwhile.
    pub(crate) fn wait_until(&mut self, ticket: Ticket, until: Instant, extension: Option<Duration>) {
        self.callers[ticket.0].patience = match extension {
            None => Patience::Until(until),
            Some(after) => Patience::Extended { until, after, progress: self.progress(ticket) },
        };
    }

    /// Makes those late who have waited long enough. Returns whom to wake, and when the next is due.
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

    /// How much has been written, in bytes, up to the end of this command. It grows while QEMU reads.
    pub(crate) fn progress(&self, ticket: Ticket) -> u64 {
        match self.callers[ticket.0].state {
            State::Sent(id) => {
                self.flights[id].as_ref().map_or(self.written, |flight| flight.end.min(self.written))
            }
            _ => self.written,
        }
    }
}
