//! Events, delivered to all subscribers in order, with an exact count of those that a slow subscriber missed.
//!
//! The reader of the connection never waits for a subscriber: each has a bounded queue, and when it is full, the oldest
//! events are dropped and counted. An event is decoded by the subscriber that receives it.

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

/// A subscription to events, from its creation on. Dropping it ends it.
#[derive(Debug)]
pub struct Events {
    subscription: Subscription,
}

impl Events {
    /// Waits for the next event.
    ///
    /// # Errors
    ///
    /// - [`EventsError::Missed`] if events were dropped because this subscriber was too slow; the next call continues
    ///   after the gap.
    /// - [`EventsError::Closed`] once the connection has ended and all events were returned.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn recv(&mut self) -> Result<TimedEvent, EventsError> {
        std::future::poll_fn(|context| self.subscription.poll(context)).await.map(|event| decode(&event))
    }

    /// Returns the next event if there is one already.
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
    /// Like [`Events::recv`], but without decoding.
    pub(crate) async fn recv_raw(&mut self) -> Result<Arc<RawEvent>, EventsError> {
        std::future::poll_fn(|context| self.subscription.poll(context)).await
    }

    /// Like [`Events::try_recv`], but without decoding.
    pub(crate) fn try_recv_raw(&mut self) -> Result<Option<Arc<RawEvent>>, EventsError> {
        self.subscription.take(None).transpose()
    }
}

fn decode(event: &RawEvent) -> TimedEvent {
    TimedEvent::new(AnyEvent::decode(&event.name, event.data()), event.timestamp)
}

/// A subscription to one kind of event, to wait for the next one.
///
/// Create it before sending the command that causes the event, so that nothing is missed.
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
    /// - [`EventsError::Timeout`] if it is not received in time.
    /// - [`EventsError::Closed`] if the connection ends first.
    /// - [`EventsError::Decode`] if its data does not have the expected form.
    /// - [`EventsError::Missed`] if more events arrived than the queue holds.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn wait_timeout(&mut self, deadline: Duration) -> Result<E, EventsError> {
        self.matching(deadline, |_| true).await
    }

    /// Waits for the next event of the kind that `wanted` accepts, for at most `deadline`; others are skipped.
    ///
    /// # Errors
    ///
    /// As [`EventWait::wait_timeout`].
    ///
    /// # Cancel safety
    ///
    /// Only skipped events are lost if the future is dropped.
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
