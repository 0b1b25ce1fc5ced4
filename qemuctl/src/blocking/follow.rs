//! Iterators over states and events, for blocking code.

use std::time::Duration;

use qmp_client::EventsError;
use qmp_proto::TimedEvent;
use tokio::runtime::Runtime;

use crate::events::StateChanges;
use crate::state::State;

/// An iterator over events. See [`Instance::events`](super::Instance::events).
#[derive(Debug)]
pub struct Events {
    inner: qmp_client::Events,
    runtime: &'static Runtime,
}

impl Events {
    pub(super) fn new(inner: qmp_client::Events, runtime: &'static Runtime) -> Self {
        Self { inner, runtime }
    }

    /// Waits for the next event. Returns `None` if there is none within `timeout`.
    ///
    /// # Errors
    ///
    /// As [`recv`](qmp_client::Events::recv): events were missed, or the connection has ended.
    pub fn next_timeout(&mut self, timeout: Duration) -> Result<Option<TimedEvent>, EventsError> {
        let next = async { tokio::time::timeout(timeout, self.inner.recv()).await };
        self.runtime.block_on(next).ok().transpose()
    }

    /// Returns the next event if there is one already.
    ///
    /// # Errors
    ///
    /// As [`recv`](qmp_client::Events::recv).
    pub fn try_recv(&mut self) -> Result<Option<TimedEvent>, EventsError> {
        self.inner.try_recv()
    }
}

impl Iterator for Events {
    type Item = Result<TimedEvent, EventsError>;

    /// Blocks until there is an event, or events were missed. Returns `None` once the connection has ended.
    fn next(&mut self) -> Option<Self::Item> {
        match self.runtime.block_on(self.inner.recv()) {
            Err(EventsError::Closed(_)) => None,
            other => Some(other),
        }
    }
}

/// An iterator over states. See [`Instance::states`](super::Instance::states).
#[derive(Debug)]
pub struct States {
    inner: StateChanges,
    runtime: &'static Runtime,
}

impl States {
    pub(super) fn new(inner: StateChanges, runtime: &'static Runtime) -> Self {
        Self { inner, runtime }
    }

    /// Blocks until the VM is in a state that `wanted` accepts, which may be the current one. Returns `None` if that
    /// does not happen within `timeout`, or if the VM ends in another state.
    pub fn wait_for(&mut self, timeout: Duration, mut wanted: impl FnMut(&State) -> bool) -> Option<State> {
        let found = async {
            while let Some(state) = self.inner.next().await {
                if wanted(&state) {
                    return Some(state);
                }
            }
            None
        };
        self.runtime.block_on(async { tokio::time::timeout(timeout, found).await }).ok().flatten()
    }
}

impl Iterator for States {
    type Item = State;

    /// Returns the current state at the first call, and blocks until the state changes at later ones. Returns `None`
    /// once the VM has ended and its last state was returned.
    fn next(&mut self) -> Option<State> {
        self.runtime.block_on(self.inner.next())
    }
}
