//! The state machine of a connection: which caller waits for which reply, and what may be sent when.
//!
//! No I/O, no clock. The states of a command:
//!
//! ```text
//!            submit                 fill                  on_reply
//!  caller ───────────▶  Queued  ───────────▶   Sent   ───────────────▶  Done  ───────▶ caller
//!                         │     in order, up     │      by its id, or     │    poll
//!                         │     to a window      │      by its turn       │
//!                 abandon │              abandon │                abandon │
//!                         ▼                      ▼                        ▼
//!                    never sent           orphan: keeps its          undone, if it
//!                                         id until the reply         can be undone
//!                                         has come, then undone
//! ```
//!
//! Note the rule for orphans: a command that was sent and whose caller has gone keeps its id and its place in the
//! window until its late reply has arrived, so that a reply can never reach the wrong caller. `expire` does not change
//! a command's state, but wakes its caller with a timeout; `close` ends all commands in any state.
//!
//! In two situations QEMU or its agent may lose commands, and each has a way to recover:
//!
//! - An error without an id: QEMU's parser may have lost its place. `Resync` changes `NotNeeded ▶ Needed ▶ Sent ▶
//!   NotNeeded`: the next command is preceded by a byte that resets the parser. When its reply arrives, earlier
//!   commands without a reply are lost.
//! - A guest agent that does not answer: an `AgentSync` precedes the next command, and all other replies are ignored
//!   until both sides are synchronized.

mod agent;
pub(crate) mod agent_sync;
mod bare_ids;
mod deadlines;
pub(crate) mod outgoing;
mod replies;
mod sending;
mod state;

use std::collections::VecDeque;
use std::os::fd::OwnedFd;
use std::task::{Poll, Waker};

use crate::error::CloseReason;
use crate::pipeline::agent_sync::AgentSync;
use crate::pipeline::outgoing::{Lane, Orphan, Outgoing};

use state::{Caller, Flight, Patience, Resync, State};
pub(crate) use state::{Outcome, Ticket};

/// The state of one QMP connection after its handshake.
#[derive(Debug)]
pub(crate) struct Pipeline {
    callers: Vec<Caller>,
    free: Vec<usize>,
    queue: VecDeque<usize>,
    urgent: VecDeque<usize>,
    flights: Vec<Option<Flight>>,
    in_band: usize,
    exclusive: bool,
    /// All replies so far were expected ones, so a command may be sent without an id.
    in_turn: bool,
    /// Greater than all ids that were ever sent.
    ids: usize,
    resync: Resync,
    out: Vec<u8>,
    /// The number of bytes of `out` that were written.
    out_start: usize,
    out_fd: Option<OwnedFd>,
    /// The total number of bytes written.
    written: u64,
    closed: Option<CloseReason>,
    /// State of a guest agent, which executes one command at a time, has no ids, and has to be synchronized.
    agent: Option<AgentSync>,
    /// Whether a monitor's commands end with a newline.
    line_ends: bool,
}

impl Pipeline {
    /// Creates the state of a QEMU monitor.
    pub(crate) fn monitor(line_ends: bool) -> Self {
        Self { line_ends, ..Self::new(None) }
    }

    /// Creates the state of a guest agent's channel.
    pub(crate) fn agent(sync: AgentSync) -> Self {
        Self::new(Some(sync))
    }

    fn new(agent: Option<AgentSync>) -> Self {
        Self {
            callers: Vec::new(),
            free: Vec::new(),
            queue: VecDeque::new(),
            urgent: VecDeque::new(),
            flights: Vec::new(),
            in_band: 0,
            exclusive: false,
            in_turn: true,
            ids: 0,
            resync: Resync::NotNeeded,
            out: Vec::new(),
            out_start: 0,
            out_fd: None,
            written: 0,
            closed: None,
            agent,
            line_ends: false,
        }
    }

    /// Queues a command and returns the ticket for its outcome.
    pub(crate) fn submit(&mut self, command: Outgoing) -> Result<Ticket, CloseReason> {
        if let Some(reason) = &self.closed {
            return Err(reason.clone());
        }
        Ok(Ticket(self.enqueue(command, false)))
    }

    /// Queues a command whose outcome is not needed.
    pub(crate) fn submit_detached(&mut self, command: Outgoing) {
        if self.closed.is_none() {
            self.enqueue(command, true);
        }
    }

    fn enqueue(&mut self, command: Outgoing, detached: bool) -> usize {
        let urgent = command.lane == Lane::OutOfBand;
        let caller =
            Caller { state: State::Queued(command), waker: None, detached, patience: Patience::Endless };
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

    fn release(&mut self, number: usize) {
        self.callers[number] =
            Caller { state: State::Free, waker: None, detached: false, patience: Patience::Endless };
        self.free.push(number);
        if self.free.len() == self.callers.len() && self.callers.capacity() > 64 {
            self.callers = Vec::new();
            self.free = Vec::new();
        }
    }

    /// Returns the outcome of a command and frees its ticket, or registers `waker`. After a timeout the ticket stays
    /// valid, and the command still has to be abandoned.
    pub(crate) fn poll(&mut self, ticket: Ticket, waker: &Waker) -> Poll<Outcome> {
        let caller = &mut self.callers[ticket.0];
        if !matches!(caller.state, State::Done(..)) {
            if matches!(caller.patience, Patience::Over) {
                return Poll::Ready(Outcome::Late);
            }
            match &mut caller.waker {
                Some(known) => known.clone_from(waker),
                none => *none = Some(waker.clone()),
            }
            return Poll::Pending;
        }
        let State::Done(outcome, _) = std::mem::replace(&mut caller.state, State::Free) else {
            return Poll::Pending;
        };
        self.release(ticket.0);
        Poll::Ready(outcome)
    }

    /// Abandons a command whose caller goes away. If it was not sent yet, it never will be.
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
                    // The late reply has no id; synchronizing again distinguishes it from the next one.
                    sync.lose();
                    self.finish(id, Outcome::Closed(CloseReason::Local));
                }
            }
            // The reply has arrived and was not used.
            State::Done(Outcome::Success(reply), Some(orphan)) => {
                if let Some(command) = orphan.undo(&reply) {
                    self.submit_detached(command);
                }
            }
            State::Free | State::Done(..) => {}
        }
        self.release(ticket.0);
    }

    /// Whether the command was sent, wholly or in part.
    pub(crate) fn was_sent(&self, ticket: Ticket) -> bool {
        !matches!(self.callers[ticket.0].state, State::Queued(_))
    }

    /// Ends all commands with this reason. Returns the callers to wake.
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
                State::Free | State::Done(..) => {}
                _ if caller.detached => caller.state = State::Free,
                _ => {
                    caller.state = State::Done(Outcome::Closed(reason.clone()), None);
                    wakers.extend(caller.waker.take());
                }
            }
        }
        wakers
    }

    /// Returns why the connection ended, if it has.
    pub(crate) fn closed(&self) -> Option<&CloseReason> {
        self.closed.as_ref()
    }

    /// Whether nothing is in flight and nothing is partially written.
    pub(crate) fn is_quiet(&self) -> bool {
        self.flights.is_empty() && self.out.is_empty()
    }

    /// Whether nothing is unanswered and nothing is waiting to be sent.
    pub(crate) fn is_idle(&self) -> bool {
        self.out.is_empty() && self.queue.is_empty() && self.urgent.is_empty() && self.flights.is_empty()
    }
}

#[cfg(test)]
mod tests;
