//! Where each command stands.

use std::task::Waker;
use std::time::Duration;

use tokio::time::Instant;

use crate::error::CloseReason;
use crate::pipeline::outgoing::{Lane, Orphan, Outgoing};
use crate::wire::framing::Kept;
use crate::wire::message::Refusal;

/// A waiting caller's number.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Ticket(pub(super) usize);

/// How a command ended.
#[derive(Debug)]
pub(crate) enum Outcome {
    Success(Kept),
    Refused(Refusal),
    /// QEMU could not parse it.
    NotUnderstood(String),
    Closed(CloseReason),
    /// The caller has waited long enough.
    Late,
}

#[derive(Debug)]
pub(super) enum State {
    Free,
    Queued(Outgoing),
    Sent(usize),
    /// What undoes the command stays with the outcome until somebody takes that.
    Done(Outcome, Option<Orphan>),
}

/// How long a caller waits yet.
#[derive(Debug)]
pub(super) enum Patience {
    Endless,
    Until(Instant),
    /// Another `after` from then on, if more than `progress` bytes have been written by `until`.
    Extended {
        until: Instant,
        after: Duration,
        progress: u64,
    },
    Over,
}

#[derive(Debug)]
pub(super) struct Caller {
    pub state: State,
    pub waker: Option<Waker>,
    /// Nobody will ask for the outcome.
    pub detached: bool,
    pub patience: Patience,
}

/// A command that was sent and not answered. Its place in the list is its id.
#[derive(Debug)]
pub(super) struct Flight {
    /// None: the caller went away.
    pub caller: Option<usize>,
    pub lane: Lane,
    pub orphan: Option<Orphan>,
    /// What to send again if the agent does not answer: a command that must not get lost.
    pub again: Option<Vec<u8>>,
    /// Where in the outgoing stream the command ends.
    pub end: u64,
    /// Sent without an id.
    pub bare: bool,
}

/// The state of QEMU's parser after an error without an id.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Resync {
    NotNeeded,
    Needed,
    /// The command with this id was sent behind a resynchronising byte.
    Sent(usize),
}
