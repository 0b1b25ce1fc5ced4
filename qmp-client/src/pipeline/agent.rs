//! Differences of a guest agent: it has no ids, and may be restarted at any time.

use super::{Outcome, Pipeline};
use crate::error::CloseReason;
use crate::pipeline::outgoing::Outgoing;

impl Pipeline {
    /// Handles a caller that gave up waiting for its turn. An agent that does not answer may have been restarted and
    /// have lost commands: synchronize again, and repeat the commands that must not be lost.
    pub(super) fn lose_step(&mut self) {
        let Some(sync) = &mut self.agent else { return };
        let Some(flight) = self.flights.first_mut() else {
            if !sync.is_done() {
                sync.lose();
            }
            return;
        };
        if let Some(bytes) = flight.as_mut().and_then(|flight| flight.again.take()) {
            sync.lose();
            self.finish(0, Outcome::Closed(CloseReason::Local));
            let number = self.enqueue(Outgoing::in_band(bytes), true);
            self.queue.retain(|&queued| queued != number);
            self.queue.push_front(number);
        }
    }

    /// Returns the part of a line that may be a message, or `None` for stale data of a guest agent.
    pub(crate) fn filter<'a>(&self, line: &'a [u8]) -> Option<&'a [u8]> {
        self.agent.as_ref().map_or(Some(line), |sync| sync.filter(line))
    }

    /// The peer is a guest agent.
    pub(crate) fn is_agent(&self) -> bool {
        self.agent.is_some()
    }

    /// The guest agent has not shown itself.
    pub(crate) fn is_out_of_step(&self) -> bool {
        self.agent.as_ref().is_some_and(|sync| !sync.is_done())
    }
}
