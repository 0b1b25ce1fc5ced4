//! Events and states, as streams and by callbacks.

use std::convert::Infallible;
use std::future::Future;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Wake, Waker};
use std::thread::{self, Thread};

use qmp_client::{Events, EventsError};
use qmp_proto::{Event, TimedEvent};
use tokio::runtime::Handle;
use tokio::sync::{oneshot, watch};

use crate::error::Error;
use crate::instance::Instance;
use crate::state::State;
use crate::supervise::Exit;

/// Keeps a callback registered. Dropping it ends the calls, except for one that has begun; the end of the VM does, too.
#[derive(Debug)]
#[must_use = "dropping it unregisters the callback"]
pub struct Subscription {
    /// Nothing is sent; dropping this ends the calls.
    _kept: oneshot::Sender<Infallible>,
}

impl Subscription {
    /// Runs on a task of the current runtime, or else on a thread.
    fn new(calls: impl Future<Output = ()> + Send + 'static) -> Result<Self, Error> {
        match Handle::try_current() {
            Ok(runtime) => {
                let (subscription, calls) = Self::ending(calls);
                runtime.spawn(calls);
                Ok(subscription)
            }
            Err(_) => Self::on_thread(calls),
        }
    }

    /// Runs on a separate thread, where the callback may block.
    pub(crate) fn on_thread(calls: impl Future<Output = ()> + Send + 'static) -> Result<Self, Error> {
        let (subscription, calls) = Self::ending(calls);
        let spawned = thread::Builder::new().name("qemuctl-calls".into()).spawn(move || drive(calls));
        spawned.map(|_| subscription).map_err(|source| Error::Io {
            action: "start a thread for",
            path: "a callback".into(),
            source,
        })
    }

    fn ending<F: Future<Output = ()>>(calls: F) -> (Self, impl Future<Output = ()> + use<F>) {
        let (kept, dropped) = oneshot::channel();
        let calls = async {
            tokio::select! {
                biased;
                _ = dropped => {}
                () = calls => {}
            }
        };
        (Self { _kept: kept }, calls)
    }
}

/// Runs `work`, which needs no runtime, on this thread.
fn drive(work: impl Future<Output = ()>) {
    struct Unpark(Thread);

    impl Wake for Unpark {
        fn wake(self: Arc<Self>) {
            self.0.unpark();
        }
    }

    let mut work = pin!(work);
    let waker = Waker::from(Arc::new(Unpark(thread::current())));
    let mut context = Context::from_waker(&waker);
    while work.as_mut().poll(&mut context).is_pending() {
        thread::park();
    }
}

/// A stream of the current state and each change, up to the end.
#[derive(Debug)]
pub(crate) struct StateChanges {
    states: watch::Receiver<State>,
    exits: watch::Receiver<Option<Exit>>,
    begun: bool,
}

impl StateChanges {
    /// Returns the next state, or `None` once the VM has ended and its last state was returned. Nothing is lost if the
    /// future is dropped.
    pub(crate) async fn next(&mut self) -> Option<State> {
        if self.begun {
            tokio::select! {
                biased;
                changed = self.states.changed() => changed.ok()?,
                // The last state is published before the end.
                _ = self.exits.wait_for(Option::is_some) => {
                    if !self.states.has_changed().unwrap_or(false) {
                        return None;
                    }
                }
            }
        }
        self.begun = true;
        Some(self.states.borrow_and_update().clone())
    }
}

/// # Following events
impl Instance {
    /// Returns all events from now on, typed and in order. An unknown event arrives as
    /// [`Unknown`](qmp_proto::AnyEvent::Unknown). A slow reader learns how many it missed.
    pub fn events(&self) -> Events {
        self.qmp().events()
    }

    /// Returns the events of one kind from now on, such as `events_of::<qmp_proto::event::Reset>()`.
    pub fn events_of<E: Event>(&self) -> Events {
        self.qmp().events_named([E::NAME])
    }

    /// Calls `callback` with each event from now on, until the connection ends.
    ///
    /// While the callback runs, the next event waits; it may spawn a task to use the VM's methods. A slow callback gets
    /// [`EventsError::Missed`] with the number of missed events in their place.
    ///
    /// The callback is called by a task of the Tokio runtime that this is called in, or by a thread if there is none.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, if the system refuses a thread.
    pub fn on_event(
        &self,
        callback: impl FnMut(Result<TimedEvent, EventsError>) + Send + 'static,
    ) -> Subscription {
        made(Subscription::new(self.calls_with_events(callback)))
    }

    /// Calls `callback` with the current state and each change, until the VM has ended. If states change faster than
    /// the callback returns, it gets only the newest.
    ///
    /// The callback is called by a task of the Tokio runtime that this is called in, or by a thread if there is none.
    ///
    /// # Panics
    ///
    /// Outside of a runtime, if the system refuses a thread.
    pub fn on_state(&self, callback: impl FnMut(State) + Send + 'static) -> Subscription {
        made(Subscription::new(self.calls_with_states(callback)))
    }

    pub(crate) fn calls_with_events(
        &self,
        mut callback: impl FnMut(Result<TimedEvent, EventsError>) + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let mut events = self.events();
        async move {
            loop {
                match events.recv().await {
                    Err(EventsError::Closed(_)) => return,
                    heard => callback(heard),
                }
            }
        }
    }

    pub(crate) fn calls_with_states(
        &self,
        mut callback: impl FnMut(State) + Send + 'static,
    ) -> impl Future<Output = ()> + Send + 'static {
        let mut states = self.state_changes();
        async move {
            while let Some(state) = states.next().await {
                callback(state);
            }
        }
    }

    pub(crate) fn state_changes(&self) -> StateChanges {
        StateChanges { states: self.states(), exits: self.vm().exits(), begun: false }
    }
}

fn made(subscription: Result<Subscription, Error>) -> Subscription {
    match subscription {
        Ok(subscription) => subscription,
        Err(error) => panic!("{error}"),
    }
}
