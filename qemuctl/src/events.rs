//! Events for those who poll a stream, and for those who would rather be called.

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

/// Keeps a callback registered. Dropping it ends the calls, though not one that has begun; the VM's end does so too.
#[derive(Debug)]
#[must_use = "dropping it unregisters the callback"]
pub struct Subscription {
    /// Nothing is sent: the calls end when this goes.
    _kept: oneshot::Sender<Infallible>,
}

impl Subscription {
    /// On a task of the runtime that this is called in, else on a thread.
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

    /// On a thread of its own, where no runtime forbids the callback to block.
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

/// Does `work`, which needs no runtime, on this thread.
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

/// The state now, each change, and then the end.
#[derive(Debug)]
pub(crate) struct StateChanges {
    states: watch::Receiver<State>,
    exits: watch::Receiver<Option<Exit>>,
    begun: bool,
}

impl StateChanges {
    /// `None` once the VM has ended and its last state was taken. Nothing is lost when the future is dropped.
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

    /// Calls `callback` with every event from now on, one after the other, until the connection ends.
    ///
    /// The callback may use the VM's methods from a task of its own; while it runs, the next event waits. One that falls
    /// far behind is told how many events it missed, by [`EventsError::Missed`], in the place where they would have come.
    ///
    /// The calls are made by a task of the Tokio runtime that this is called in, or by a thread where there is none.
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

    /// Calls `callback` with the state now and with each change from now on, until the VM has ended. Of states that follow
    /// each other faster than the callback returns, it sees the newest.
    ///
    /// The calls are made by a task of the Tokio runtime that this is called in, or by a thread where there is none.
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
