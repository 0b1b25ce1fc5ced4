//! Who waits for which reply, and what may be sent when.
//!
//! Pure: no socket, no clock. Commands wait in order of arrival and get an id when they are sent, the
//! smallest that is free, because QEMU reads each byte of a command for 4 µs. The surprising rule: a command
//! that was sent and whose caller went away keeps its id and its place in the window until its late
//! reply has come, so that no reply can ever reach the wrong caller.

mod agent;
mod state;

use std::collections::VecDeque;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::task::{Poll, Waker};

use crate::error::CloseReason;
use crate::message::{Id, Refusal};
use crate::outgoing::{Lane, Orphan, Outgoing};
use crate::sync::Sync;

use state::{Caller, Flight, Resync, State};
pub(crate) use state::{Outcome, Ticket};

/// How many in-band commands may be unanswered. QEMU stops reading at 8, out-of-band commands included;
/// more than 2 gain nothing on a real QEMU.
const WINDOW: usize = 7;

/// How many out-of-band commands may be unanswered. QEMU answers them at once.
const URGENT_WINDOW: usize = 4;

/// Beyond this capacity, in bytes, the send buffer is given back once it is empty.
const KEEP_CAPACITY: usize = 64 << 10;

/// Makes QEMU's parser start afresh, at the price of one error without an id.
const RESYNC: u8 = 0xff;

/// The bookkeeping of one QMP connection after its handshake.
#[derive(Debug)]
pub(crate) struct Exchange {
    callers: Vec<Caller>,
    free: Vec<usize>,
    queue: VecDeque<usize>,
    urgent: VecDeque<usize>,
    flights: Vec<Option<Flight>>,
    in_band: usize,
    exclusive: bool,
    resync: Resync,
    out: Vec<u8>,
    /// How much of `out` is written.
    out_start: usize,
    out_fd: Option<OwnedFd>,
    /// Bytes written since the beginning.
    written: u64,
    closed: Option<CloseReason>,
    /// The guest agent takes one command at a time, knows no ids, and has to be kept in step.
    agent: Option<Sync>,
}

impl Exchange {
    /// The bookkeeping of a QEMU monitor.
    pub(crate) fn monitor() -> Self {
        Self::new(None)
    }

    /// The bookkeeping of a guest agent's channel.
    pub(crate) fn agent(sync: Sync) -> Self {
        Self::new(Some(sync))
    }

    fn new(agent: Option<Sync>) -> Self {
        Self {
            callers: Vec::new(),
            free: Vec::new(),
            queue: VecDeque::new(),
            urgent: VecDeque::new(),
            flights: Vec::new(),
            in_band: 0,
            exclusive: false,
            resync: Resync::NotNeeded,
            out: Vec::new(),
            out_start: 0,
            out_fd: None,
            written: 0,
            closed: None,
            agent,
        }
    }

    /// Queues a command and says under which number its outcome can be had.
    pub(crate) fn submit(&mut self, command: Outgoing) -> Result<Ticket, CloseReason> {
        if let Some(reason) = &self.closed {
            return Err(reason.clone());
        }
        Ok(Ticket(self.enqueue(command, false)))
    }

    /// Queues a command whose outcome nobody wants to know.
    pub(crate) fn submit_detached(&mut self, command: Outgoing) {
        if self.closed.is_none() {
            self.enqueue(command, true);
        }
    }

    fn enqueue(&mut self, command: Outgoing, detached: bool) -> usize {
        let urgent = command.lane == Lane::OutOfBand;
        let caller = Caller { state: State::Queued(command), waker: None, detached };
        let number = if let Some(number) = self.free.pop() {
            self.callers[number] = caller;
            number
        } else {
            self.callers.push(caller);
            self.callers.len() - 1
        };
        if urgent {
            self.urgent.push_back(number);
        } else {
            self.queue.push_back(number);
        }
        number
    }

    /// Moves what may be sent now into the send buffer.
    pub(crate) fn fill(&mut self) {
        if let Some(sync) = &mut self.agent {
            if self.queue.is_empty() || !self.out.is_empty() || !self.flights.is_empty() {
                return;
            }
            if sync.is_needed() {
                self.out = sync.start();
            } else if sync.is_done()
                && let Some(number) = self.queue.pop_front()
            {
                self.send(number);
            }
            return;
        }
        while !self.urgent.is_empty() && self.flights.iter().flatten().count() - self.in_band < URGENT_WINDOW
        {
            let Some(number) = self.urgent.pop_front() else { break };
            self.send(number);
        }
        while let Some(&number) = self.queue.front() {
            let State::Queued(command) = &self.callers[number].state else { break };
            let alone = command.lane == Lane::Exclusive;
            let room = match self.resync {
                // What is in flight may never be answered, so this one does not wait for it.
                Resync::Needed => self.out.is_empty(),
                Resync::Sent(_) => false,
                Resync::NotNeeded if self.exclusive => false,
                // A descriptor belongs to the first byte of a write, so nothing may be left before it.
                Resync::NotNeeded if alone => self.in_band == 0 && self.out.is_empty(),
                Resync::NotNeeded => self.in_band < WINDOW,
            };
            if !room {
                break;
            }
            self.queue.pop_front();
            self.send(number);
        }
    }

    fn send(&mut self, number: usize) {
        let caller = &mut self.callers[number];
        let State::Queued(mut command) = std::mem::replace(&mut caller.state, State::Free) else {
            return;
        };
        let id = self.flights.iter().position(Option::is_none).unwrap_or(self.flights.len());
        if id == self.flights.len() {
            self.flights.push(None);
        }
        let urgent = command.lane == Lane::OutOfBand;
        if !urgent && self.resync == Resync::Needed {
            self.out.push(RESYNC);
            self.resync = Resync::Sent(id);
        }
        // Only the guest agent may have to be told again.
        let again = (self.agent.is_some() && caller.detached).then(|| command.bytes.clone());
        if self.out.is_empty() {
            self.out = command.bytes;
        } else {
            self.out.extend_from_slice(&command.bytes);
        }
        if self.agent.is_some() {
            self.out.extend_from_slice(b"}\n");
        } else {
            self.out.extend_from_slice(b",\"id\":");
            self.out.extend_from_slice(id.to_string().as_bytes());
            self.out.push(b'}');
        }
        if let Some(fd) = command.fd.take() {
            self.out_fd = Some(fd);
        }
        if !urgent {
            self.in_band += 1;
            self.exclusive = command.lane == Lane::Exclusive;
        }
        let end = self.written + (self.out.len() - self.out_start) as u64;
        self.flights[id] =
            Some(Flight { caller: Some(number), lane: command.lane, orphan: command.orphan, again, end });
        caller.state = State::Sent(id);
    }

    /// What is to be written next, and the descriptor that goes with its first byte.
    pub(crate) fn pending(&self) -> Option<(&[u8], Option<BorrowedFd<'_>>)> {
        let bytes = &self.out[self.out_start..];
        (!bytes.is_empty()).then(|| (bytes, self.out_fd.as_ref().map(AsFd::as_fd)))
    }

    /// Takes note that `count` bytes were written, and with them the descriptor.
    pub(crate) fn wrote(&mut self, count: usize) {
        self.out_fd = None;
        self.out_start += count;
        self.written += count as u64;
        if self.out_start == self.out.len() {
            self.out_start = 0;
            self.out.clear();
            if self.out.capacity() > KEEP_CAPACITY {
                self.out = Vec::new();
            }
        }
    }

    /// Hands a reply to its caller, who is to be woken. A late reply, or one to nobody, is discarded.
    pub(crate) fn on_reply(&mut self, id: Id, outcome: Result<&[u8], Refusal>) -> Option<Waker> {
        if let Some(sync) = self.agent.as_mut().filter(|sync| !sync.is_done()) {
            if let Ok(reply) = outcome {
                sync.on_reply(reply);
            }
            return None;
        }
        let id = match (id, &outcome) {
            _ if self.agent.is_some() => Some(0),
            (Id::Number(id), _) => usize::try_from(id).ok(),
            (Id::Missing, Err(refusal)) => return self.on_parse_error(refusal),
            _ => None,
        };
        let id = id.filter(|&id| self.flights.get(id).is_some_and(Option::is_some))?;
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
                if let Some((None, Some(Orphan::OnReply(undo)))) =
                    flight.map(|flight| (flight.caller, flight.orphan.take()))
                    && let Some(command) = undo(reply)
                {
                    self.submit_detached(command);
                }
                self.finish(id, Outcome::Success(reply.into()))
            }
            Err(refusal) => self.finish(id, Outcome::Refused(refusal)),
        }
    }

    /// An error without an id: QEMU could not parse something. Replies come in order, so it was the oldest.
    fn on_parse_error(&mut self, refusal: &Refusal) -> Option<Waker> {
        if matches!(self.resync, Resync::Sent(_)) {
            return None;
        }
        let in_band = |flight: &Option<Flight>| {
            flight.as_ref().filter(|flight| flight.lane != Lane::OutOfBand).map(|flight| flight.end)
        };
        let oldest =
            (0..self.flights.len()).filter_map(|id| in_band(&self.flights[id]).map(|end| (end, id))).min();
        let (_, id) = oldest?;
        self.resync = Resync::Needed;
        self.finish(id, Outcome::NotUnderstood(refusal.desc.clone()))
    }

    /// Frees an id and tells the caller, if there still is one.
    fn finish(&mut self, id: usize, outcome: Outcome) -> Option<Waker> {
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
        caller.state = State::Done(outcome);
        caller.waker.take()
    }

    fn release(&mut self, number: usize) {
        self.callers[number] = Caller { state: State::Free, waker: None, detached: false };
        self.free.push(number);
        if self.free.len() == self.callers.len() && self.callers.capacity() > 64 {
            self.callers = Vec::new();
            self.free = Vec::new();
        }
    }

    /// The outcome of a command, which frees its number; or the promise to wake `waker`.
    pub(crate) fn poll(&mut self, ticket: Ticket, waker: &Waker) -> Poll<Outcome> {
        let caller = &mut self.callers[ticket.0];
        if !matches!(caller.state, State::Done(_)) {
            match &mut caller.waker {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
            return Poll::Pending;
        }
        let State::Done(outcome) = std::mem::replace(&mut caller.state, State::Free) else {
            return Poll::Pending;
        };
        self.release(ticket.0);
        Poll::Ready(outcome)
    }

    /// Takes back a command whose caller goes away. What was not sent never will be.
    pub(crate) fn abandon(&mut self, ticket: Ticket) {
        match std::mem::replace(&mut self.callers[ticket.0].state, State::Free) {
            State::Queued(command) => {
                let queue = if command.lane == Lane::OutOfBand { &mut self.urgent } else { &mut self.queue };
                queue.retain(|&number| number != ticket.0);
                self.lose_step();
            }
            State::Sent(id) => {
                let flight = self.flights[id].as_mut();
                let orphan = flight.and_then(|flight| {
                    flight.caller = None;
                    flight.orphan.take_if(|orphan| matches!(orphan, Orphan::Always(_)))
                });
                if let Some(Orphan::Always(command)) = orphan {
                    self.submit_detached(*command);
                }
                if let Some(sync) = &mut self.agent {
                    // The late reply has no id; getting in step anew tells it from the next one.
                    sync.lose();
                    self.finish(id, Outcome::Closed(CloseReason::Local));
                }
            }
            State::Free | State::Done(_) => {}
        }
        self.release(ticket.0);
    }

    /// Whether the command was sent, wholly or in part.
    pub(crate) fn was_sent(&self, ticket: Ticket) -> bool {
        !matches!(self.callers[ticket.0].state, State::Queued(_))
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

    /// Ends everything: every caller learns the reason. Returns whom to wake.
    pub(crate) fn close(&mut self, reason: &CloseReason) -> Vec<Waker> {
        if self.closed.is_some() {
            return Vec::new();
        }
        self.closed = Some(reason.clone());
        self.queue.clear();
        self.urgent.clear();
        self.flights.clear();
        self.in_band = 0;
        self.exclusive = false;
        self.out = Vec::new();
        self.out_start = 0;
        self.out_fd = None;
        let mut wakers = Vec::new();
        for number in 0..self.callers.len() {
            let caller = &mut self.callers[number];
            match caller.state {
                State::Free | State::Done(_) => {}
                _ if caller.detached => caller.state = State::Free,
                _ => {
                    caller.state = State::Done(Outcome::Closed(reason.clone()));
                    wakers.extend(caller.waker.take());
                }
            }
        }
        wakers
    }

    /// Why the connection ended, if it has.
    pub(crate) fn closed(&self) -> Option<&CloseReason> {
        self.closed.as_ref()
    }

    /// Nothing is in flight and nothing is half written.
    pub(crate) fn is_quiet(&self) -> bool {
        self.flights.is_empty() && self.out.is_empty()
    }

    /// Nothing is unanswered and nothing waits to be sent.
    pub(crate) fn is_idle(&self) -> bool {
        self.out.is_empty() && self.queue.is_empty() && self.urgent.is_empty() && self.flights.is_empty()
    }
}

#[cfg(test)]
mod tests;
