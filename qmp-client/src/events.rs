//! Events, handed to every subscriber in order, with an exact account of what a slow one missed.
//!
//! The reader never waits for a subscriber: each has a bounded backlog, and when it is full the oldest
//! events make room and are counted. An event is decoded by the subscriber that takes it.

use std::borrow::Cow;
use std::collections::VecDeque;
use std::marker::PhantomData;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use qmp_proto::{AnyEvent, Event, TimedEvent, Timestamp};
use serde_json::value::RawValue;

use crate::error::CloseReason;
use crate::message;

/// Why there is no next event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventsError {
    /// This many events were dropped because the subscriber was too slow. The next call goes on behind
    /// the gap; query again what the missed events might have changed.
    #[error("{0} events were missed: the subscriber was too slow")]
    Missed(u64),
    /// The connection has ended and all events were taken.
    #[error("no more events: the connection has ended")]
    Closed(#[source] CloseReason),
    /// The event did not come in time.
    #[error("no {name} within {after:?}")]
    Timeout {
        /// The event waited for.
        name: &'static str,
        /// How long it was waited for.
        after: Duration,
    },
    /// The event came, but its data has an unexpected shape.
    #[error("{name}: cannot decode its data: {message}")]
    Decode {
        /// The event.
        name: &'static str,
        /// What was wrong.
        message: String,
    },
}

/// An event as it came.
#[derive(Debug)]
struct RawEvent {
    name: Box<str>,
    data: Option<Box<RawValue>>,
    timestamp: Timestamp,
}

impl RawEvent {
    fn size(&self) -> usize {
        size_of::<Self>() + self.name.len() + self.data.as_ref().map_or(0, |data| data.get().len())
    }

    /// The data as text; an event without data has an empty object.
    fn data(&self) -> &RawValue {
        self.data.as_deref().unwrap_or_else(|| empty_object())
    }
}

fn empty_object() -> &'static RawValue {
    serde_json::from_str("{}").expect("an empty object is JSON")
}

/// Which events a subscriber wants.
#[derive(Clone, Debug)]
enum Filter {
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

/// What one subscriber has not taken yet.
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

/// How much may wait for a subscriber.
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

    /// Hands an event to all who want it.
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

    /// Tells all subscribers that no more events will come.
    pub(crate) fn close(&self, reason: &CloseReason) {
        let mut state = self.lock();
        state.closed.get_or_insert_with(|| reason.clone());
        let wakers: Vec<_> =
            state.backlogs.iter_mut().flatten().filter_map(|backlog| backlog.waker.take()).collect();
        drop(state);
        wakers.into_iter().for_each(Waker::wake);
    }

    fn subscribe(self: &Arc<Self>, filter: Filter) -> Subscription {
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

    pub(crate) fn all(self: &Arc<Self>) -> Events {
        Events { subscription: self.subscribe(Filter::All) }
    }

    pub(crate) fn named(self: &Arc<Self>, names: impl IntoIterator<Item = Cow<'static, str>>) -> Events {
        Events { subscription: self.subscribe(Filter::Names(names.into_iter().collect())) }
    }
}

/// A place in the hub, given up when dropped.
#[derive(Debug)]
struct Subscription {
    hub: Arc<Hub>,
    number: usize,
}

impl Subscription {
    fn poll(&self, context: &mut Context<'_>) -> Poll<Result<Arc<RawEvent>, EventsError>> {
        self.take(Some(context)).map_or(Poll::Pending, Poll::Ready)
    }

    fn take(&self, context: Option<&mut Context<'_>>) -> Option<Result<Arc<RawEvent>, EventsError>> {
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

/// A subscription to events, from the moment it was made. Dropping it ends it.
#[derive(Debug)]
pub struct Events {
    subscription: Subscription,
}

impl Events {
    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// - [`EventsError::Missed`] if events were dropped because this subscriber was too slow; the next
    ///   call goes on with what came after the gap.
    /// - [`EventsError::Closed`] once the connection has ended and all events were taken.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn recv(&mut self) -> Result<TimedEvent, EventsError> {
        std::future::poll_fn(|context| self.subscription.poll(context)).await.map(|event| decode(&event))
    }

    /// Takes the next event if one has come.
    ///
    /// # Errors
    ///
    /// As [`Events::recv`].
    pub fn try_recv(&mut self) -> Result<Option<TimedEvent>, EventsError> {
        self.subscription.take(None).transpose().map(|event| event.map(|event| decode(&event)))
    }
}

fn decode(event: &RawEvent) -> TimedEvent {
    TimedEvent::new(AnyEvent::decode(&event.name, event.data()), event.timestamp)
}

/// A wait for one kind of event, subscribed since it was made.
///
/// Make it before sending the command that causes the event, and nothing is missed.
#[derive(Debug)]
pub struct EventWait<E> {
    subscription: Subscription,
    event: PhantomData<fn() -> E>,
}

impl<E: Event> EventWait<E> {
    pub(crate) fn new(hub: &Arc<Hub>) -> Self {
        let filter = Filter::Names(Box::new([Cow::Borrowed(E::NAME)]));
        Self { subscription: hub.subscribe(filter), event: PhantomData }
    }

    /// Waits for the next event of the kind, for at most `deadline`.
    ///
    /// # Errors
    ///
    /// - [`EventsError::Timeout`] if it does not come in time.
    /// - [`EventsError::Closed`] if the connection ends first.
    /// - [`EventsError::Decode`] if its data has an unexpected shape.
    /// - [`EventsError::Missed`] if more of them came than the backlog holds.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event.
    pub async fn within(&mut self, deadline: Duration) -> Result<E, EventsError> {
        self.matching(deadline, |_| true).await
    }

    /// Waits for the next event of the kind that `wanted` accepts, for at most `deadline`; others are skipped.
    ///
    /// # Errors
    ///
    /// As [`EventWait::within`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future loses no event but those that were skipped.
    pub async fn matching(
        &mut self,
        deadline: Duration,
        mut wanted: impl FnMut(&E) -> bool,
    ) -> Result<E, EventsError> {
        let next = async {
            loop {
                let raw = std::future::poll_fn(|context| self.subscription.poll(context)).await?;
                let event = serde_json::from_str(raw.data().get())
                    .map_err(|error| EventsError::Decode { name: E::NAME, message: error.to_string() })?;
                if wanted(&event) {
                    return Ok(event);
                }
            }
        };
        tokio::time::timeout(deadline, next)
            .await
            .unwrap_or(Err(EventsError::Timeout { name: E::NAME, after: deadline }))
    }
}
