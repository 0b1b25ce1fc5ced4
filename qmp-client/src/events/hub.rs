//! The subscribers and their queues.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use qmp_proto::Timestamp;
use serde_json::value::RawValue;

use super::error::EventsError;
use crate::error::CloseReason;
use crate::wire::message;

/// An event as it was received.
#[derive(Debug)]
pub(crate) struct RawEvent {
    pub name: Box<str>,
    pub data: Option<Box<RawValue>>,
    pub timestamp: Timestamp,
}

impl RawEvent {
    fn size(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.data.as_ref().map_or(0, |data| data.get().len())
    }

    /// The data as text; an event without data has an empty object.
    pub fn data(&self) -> &RawValue {
        self.data.as_deref().unwrap_or_else(|| empty_object())
    }
}

fn empty_object() -> &'static RawValue {
    serde_json::from_str("{}").expect("an empty object is JSON")
}

/// Which events a subscriber wants.
#[derive(Clone, Debug)]
pub(super) enum Filter {
    All,
    Names(Box<[Cow<'static, str>]>),
}

impl Filter {
    fn takes(&self, name: &str) -> bool {
        match self {
            Self::All => true,
            Self::Names(names) => names.iter().any(|wanted| wanted == name),
        }
    }
}

/// The queue of one subscriber.
#[derive(Debug)]
struct Backlog {
    filter: Filter,
    events: VecDeque<Arc<RawEvent>>,
    bytes: usize,
    missed: u64,
    waker: Option<Waker>,
}

impl Backlog {
    fn push(&mut self, event: Arc<RawEvent>, limits: Limits) {
        let size = event.size();
        while !self.events.is_empty()
            && (self.events.len() >= limits.events || self.bytes + size > limits.bytes)
        {
            if let Some(oldest) = self.events.pop_front() {
                self.bytes -= oldest.size();
                self.missed += 1;
            }
        }
        self.bytes += size;
        self.events.push_back(event);
    }
}

/// The limits of a subscriber's queue.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub events: usize,
    pub bytes: usize,
}

/// All subscribers of a session.
#[derive(Debug)]
pub(crate) struct Hub {
    limits: Limits,
    state: Mutex<HubState>,
}

#[derive(Debug, Default)]
struct HubState {
    backlogs: Vec<Option<Backlog>>,
    closed: Option<CloseReason>,
}

impl Hub {
    pub(crate) fn new(limits: Limits) -> Self {
        Self { limits, state: Mutex::default() }
    }

    fn lock(&self) -> MutexGuard<'_, HubState> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Passes an event to all interested subscribers.
    pub(crate) fn publish(&self, event: &message::Event<'_>) {
        let mut wakers = Vec::new();
        let mut state = self.lock();
        let mut shared = None;
        for backlog in state.backlogs.iter_mut().flatten() {
            if backlog.filter.takes(&event.name) {
                let raw = shared.get_or_insert_with(|| {
                    Arc::new(RawEvent {
                        name: event.name.as_ref().into(),
                        data: event.data.map(ToOwned::to_owned),
                        timestamp: event.timestamp,
                    })
                });
                backlog.push(Arc::clone(raw), self.limits);
                wakers.extend(backlog.waker.take());
            }
        }
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Ends all subscriptions.
    pub(crate) fn close(&self, reason: &CloseReason) {
        let mut state = self.lock();
        state.closed.get_or_insert_with(|| reason.clone());
        let wakers: Vec<_> =
            state.backlogs.iter_mut().flatten().filter_map(|backlog| backlog.waker.take()).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    pub(super) fn subscribe(self: &Arc<Self>, filter: Filter) -> Subscription {
        let backlog = Backlog { filter, events: VecDeque::new(), bytes: 0, missed: 0, waker: None };
        let mut state = self.lock();
        let number = state.backlogs.iter().position(Option::is_none).unwrap_or(state.backlogs.len());
        if number == state.backlogs.len() {
            state.backlogs.push(None);
        }
        state.backlogs[number] = Some(backlog);
        drop(state);
        Subscription { hub: Arc::clone(self), number }
    }
}

/// A subscription, ended when dropped.
#[derive(Debug)]
pub(super) struct Subscription {
    hub: Arc<Hub>,
    number: usize,
}

impl Subscription {
    pub fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Arc<RawEvent>, EventsError>> {
        self.take(Some(context)).map_or(Poll::Pending, Poll::Ready)
    }

    pub fn take(&self, context: Option<&mut Context<'_>>) -> Option<Result<Arc<RawEvent>, EventsError>> {
        let mut state = self.hub.lock();
        let closed = state.closed.clone();
        let backlog = state.backlogs[self.number].as_mut()?;
        if backlog.missed > 0 {
            return Some(Err(EventsError::Missed(std::mem::take(&mut backlog.missed))));
        }
        if let Some(event) = backlog.events.pop_front() {
            backlog.bytes -= event.size();
            return Some(Ok(event));
        }
        if let Some(reason) = closed {
            return Some(Err(EventsError::Closed(reason)));
        }
        if let Some(context) = context {
            backlog.waker = Some(context.waker().clone());
        }
        None
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        let backlog = self.hub.lock().backlogs[self.number].take();
        drop(backlog);
    }
}
