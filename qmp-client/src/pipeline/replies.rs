//! Assigns replies to commands.

use std::task::Waker;

use super::Pipeline;
use super::bare_ids::Addressee;
use super::state::{Flight, Outcome, Resync, State};
use crate::pipeline::outgoing::Lane;
use crate::wire::framing::Kept;
use crate::wire::message::{Id, Refusal};

impl Pipeline {
    /// Passes a reply to its caller and returns it for waking. A late or unexpected reply is discarded.
    pub(crate) fn on_reply(&mut self, id: Id, outcome: Result<Kept, Refusal>) -> Option<Waker> {
        if let Some(sync) = self.agent.as_mut().filter(|sync| !sync.is_done()) {
            if let Ok(reply) = outcome {
                sync.on_reply(&reply);
            }
            return None;
        }
        let id = if self.agent.is_some() {
            self.flight(0).map(|_| 0)?
        } else {
            match (self.addressee(id, outcome.is_err())?, &outcome) {
                (Addressee::Unparsed(oldest), Err(refusal)) => return self.on_parse_error(oldest, refusal),
                (Addressee::Command(id) | Addressee::Unparsed(id), _) => id,
            }
        };
        if self.resync == Resync::Sent(id) {
            self.resync = Resync::NotNeeded;
            // Replies arrive in order, so earlier commands without a reply were lost by the parser.
            let end = self.flights[id].as_ref().map_or(0, |flight| flight.end);
            for lost in 0..self.flights.len() {
                let before = self.flights[lost]
                    .as_ref()
                    .is_some_and(|flight| flight.lane != Lane::OutOfBand && flight.end < end);
                if before {
                    let desc = "QEMU lost its place in the input".to_owned();
                    if let Some(waker) = self.finish(lost, Outcome::NotUnderstood(desc)) {
                        waker.wake();
                    }
                }
            }
        }
        match outcome {
            Ok(reply) => {
                let flight = self.flights[id].as_mut();
                if let Some(flight) = flight
                    && flight.caller.is_none()
                    && let Some(command) = flight.orphan.take().and_then(|orphan| orphan.undo(&reply))
                {
                    self.submit_detached(command);
                }
                self.finish(id, Outcome::Success(reply))
            }
            Err(refusal) => self.finish(id, Outcome::Refused(refusal)),
        }
    }

    pub(super) fn flight(&self, id: usize) -> Option<&Flight> {
        self.flights.get(id)?.as_ref()
    }

    /// Handles an error without an id while the oldest command has one: QEMU could not parse something.
    fn on_parse_error(&mut self, oldest: usize, refusal: &Refusal) -> Option<Waker> {
        if matches!(self.resync, Resync::Sent(_)) {
            return None;
        }
        self.resync = Resync::Needed;
        self.finish(oldest, Outcome::NotUnderstood(refusal.desc.clone()))
    }

    /// Frees an id and wakes the caller, if there still is one.
    pub(super) fn finish(&mut self, id: usize, outcome: Outcome) -> Option<Waker> {
        let flight = self.flights[id].take()?;
        while self.flights.last().is_some_and(Option::is_none) {
            self.flights.pop();
        }
        if flight.lane != Lane::OutOfBand {
            self.in_band -= 1;
            self.exclusive &= flight.lane != Lane::Exclusive;
        }
        let number = flight.caller?;
        let caller = &mut self.callers[number];
        if caller.detached {
            self.release(number);
            return None;
        }
        caller.state = State::Done(outcome, flight.orphan);
        caller.waker.take()
    }
}
