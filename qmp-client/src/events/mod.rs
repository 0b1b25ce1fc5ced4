//! Events, handed to every subscriber in order, with an exact account of what a slow one missed.
//!
//! The reader never waits for a subscriber: each has a bounded backlog, and when it is full the oldest
//! events make room and are counted. An event is decoded by the subscriber that takes it.

mod error;
mod hub;

use std::borrow::Cow;
use std::marker::PhantomData;
use std::sync::Arc;
use std::time::Duration;

use qmp_proto::{AnyEvent, Event, TimedEvent};

pub use error::EventsError;
pub(crate) use hub::RawEvent;
use hub::{Filter, Subscription};
pub(crate) use hub::{Hub, Limits};

impl Hub {
    pub(crate) fn all(self: &Arc<Self>) -> Events {
        Events { subscription: self.subscribe(Filter::All) }
    }

    pub(crate) fn named(self: &Arc<Self>, names: impl IntoIterator<Item = Cow<'static, str>>) -> Events {
        Events { subscription: self.subscribe(Filter::Names(names.into_iter().collect())) }
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

#[cfg(feature = "job")]
impl Events {
    /// As [`Events::recv`], undecoded.
    pub(crate) async fn recv_raw(&mut self) -> Result<Arc<RawEvent>, EventsError> {
        std::future::poll_fn(|context| self.subscription.poll(context)).await
    }

    /// As [`Events::try_recv`], undecoded.
    pub(crate) fn try_recv_raw(&mut self) -> Result<Option<Arc<RawEvent>>, EventsError> {
        self.subscription.take(None).transpose()
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
