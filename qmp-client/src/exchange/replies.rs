//! Which reply is whose.

use std::task::Waker;

use super::Exchange;
use super::state::{Flight, Outcome, Resync, State};
use crate::framing::Kept;
use crate::message::{Id, Refusal};
use crate::outgoing::Lane;

impl Exchange {
    /// Hands a reply to its caller, who is to be woken. A late reply, or one to nobody, is discarded.
    pub(crate) fn on_reply(&mut self, id: Id, outcome: Result<Kept, Refusal>) -> Option<Waker> {
        if let Some(sync) = self.agent.as_mut().filter(|sync| !sync.is_done()) {
            if let Ok(reply) = outcome {
                sync.on_reply(&reply);
            }
            return None;
        }
        let id = match (id, &outcome) {
            _ if self.agent.is_some() => self.flight(0).map(|_| 0),
            (Id::Number(id), _) => {
                usize::try_from(id).ok().filter(|&id| self.flight(id).is_some_and(|flight| !flight.bare))
            }
            (Id::Missing, outcome) => {
                let oldest = self.oldest()?;
                match outcome {
                    _ if self.flight(oldest).is_some_and(|flight| flight.bare) => Some(oldest),
                    Ok(_) => None,
                    Err(refusal) => return self.on_parse_error(oldest, refusal),
                }
            }
            _ => None,
        }?;
        if self.resync == Resync::Sent(id) {
            self.resync = Resync::NotNeeded;
            // Replies come in order, so what was sent before was lost with the parser's place.
            let end = self.flights[id].as_ref().map_or(0, |flight| flight.end);
            for lost in 0..self.flights.len() {
                let before = self.flights[lost]
                    .as_ref()
                    .is_some_and(|flight| flight.lane != Lane::OutOfBand && flight.end < end);
                if before {
                    let desc = "QEMU lost its place in what was sent".to_owned();
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

    fn flight(&self, id: usize) -> Option<&Flight> {
        self.flights.get(id)?.as_ref()
    }

    /// The in-band command that was sent before all others: it is answered next.
    fn oldest(&self) -> Option<usize> {
        let in_band = |id: usize| self.flight(id).filter(|flight| flight.lane != Lane::OutOfBand);
        (0..self.flights.len())
            .filter_map(|id| in_band(id).map(|flight| (flight.end, id)))
            .min()
            .map(|(_, id)| id)
    }

    /// An error without an id, and the oldest command has one: QEMU could not parse it.
    fn on_parse_error(&mut self, oldest: usize, refusal: &Refusal) -> Option<Waker> {
        if matches!(self.resync, Resync::Sent(_)) {
            return None;
        }
        self.resync = Resync::Needed;
        self.finish(oldest, Outcome::NotUnderstood(refusal.desc.clone()))
    }

    /// Frees an id and tells the caller, if there still is one.
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
