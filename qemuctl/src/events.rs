//! Events for those who poll a stream, and for those who would rather be called.

use qmp_client::{Events, EventsError};
use qmp_proto::{Event, TimedEvent};
use tokio::task::{AbortHandle, JoinHandle};

use crate::instance::Instance;
use crate::state::State;

/// Keeps a callback registered. Dropping it ends the calls; the VM's end does so too.
#[derive(Debug)]
#[must_use = "dropping it unregisters the callback"]
pub struct Subscription(AbortHandle);

impl Subscription {
    fn new(task: &JoinHandle<()>) -> Self {
        Self(task.abort_handle())
    }
}

impl Drop for Subscription {
    fn drop(&mut self) {
        self.0.abort();
    }
}

impl Instance {
    /// Every event from now on, typed, in order. An event of a kind that is not known arrives as
    /// [`Unknown`](qmp_proto::AnyEvent::Unknown). A reader that falls far behind is told how many it missed.
    pub fn events(&self) -> Events {
        self.qmp().events()
    }

    /// The events of one kind from now on, such as `events_of::<qmp_proto::event::Reset>()`.
    pub fn events_of<E: Event>(&self) -> Events {
        self.qmp().events_named([E::NAME])
    }

    /// Calls `callback` with every event from now on, one after the other.
    ///
    /// The callback may use the VM's methods from a task of its own; while it runs, the next event waits.
    pub fn on_event(&self, mut callback: impl FnMut(TimedEvent) + Send + 'static) -> Subscription {
        let mut events = self.events();
        Subscription::new(&tokio::spawn(async move {
            loop {
                match events.recv().await {
                    Ok(event) => callback(event),
                    Err(EventsError::Closed(_)) => return,
                    Err(_) => {}
                }
            }
        }))
    }

    /// Calls `callback` with the state now and with each change from now on. Of states that follow each other faster than
    /// the callback returns, it sees the newest.
    pub fn on_state(&self, mut callback: impl FnMut(State) + Send + 'static) -> Subscription {
        let mut states = self.states();
        Subscription::new(&tokio::spawn(async move {
            loop {
                let state = states.borrow_and_update().clone();
                let is_over = state.is_over();
                callback(state);
                if is_over || states.changed().await.is_err() {
                    return;
                }
            }
        }))
    }
}
