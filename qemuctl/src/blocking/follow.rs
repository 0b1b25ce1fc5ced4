//! States and events one after the other, for code that blocks.

use std::time::Duration;

use qmp_client::EventsError;
use qmp_proto::TimedEvent;
use tokio::runtime::Runtime;

use crate::events::StateChanges;
use crate::state::State;

/// Events as they come. See [`Instance::events`](super::Instance::events).
#[derive(Debug)]
pub struct Events {
    inner: qmp_client::Events,
    runtime: &'static Runtime,
}

impl Events {
    pub(super) fn new(inner: qmp_client::Events, runtime: &'static Runtime) -> Self {
        Self { inner, runtime }
    }

    /// The next event if it comes within `limit`, `None` if not.
    ///
    /// # Errors
    ///
    /// As [`recv`](qmp_client::Events::recv): events were missed, or the connection has ended.
    pub fn next_within(&mut self, limit: Duration) -> Result<Option<TimedEvent>, EventsError> {
        let next = async { tokio::time::timeout(limit, self.inner.recv()).await };
        self.runtime.block_on(next).ok().transpose()
    }

    /// Takes the next event if one has come.
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

    /// Blocks until there is an event or a gap; `None` once the connection has ended.
    fn next(&mut self) -> Option<Self::Item> {
        match self.runtime.block_on(self.inner.recv()) {
            Err(EventsError::Closed(_)) => None,
            other => Some(other),
        }
    }
}

/// States as they change. See [`Instance::states`](super::Instance::states).
#[derive(Debug)]
pub struct States {
    inner: StateChanges,
    runtime: &'static Runtime,
}

impl States {
    pub(super) fn new(inner: StateChanges, runtime: &'static Runtime) -> Self {
        Self { inner, runtime }
    }

    /// Blocks until the VM is in a state that `wanted` accepts, which may be the one it is in now. `None` if it has not
    /// come to that within `limit`, or has ended in another state.
    pub fn wait_for(&mut self, limit: Duration, mut wanted: impl FnMut(&State) -> bool) -> Option<State> {
        let found = async {
            while let Some(state) = self.inner.next().await {
                if wanted(&state) {
                    return Some(state);
                }
            }
            None
        };
        self.runtime.block_on(async { tokio::time::timeout(limit, found).await }).ok().flatten()
    }
}

impl Iterator for States {
    type Item = State;

    /// The state now at the first call; later ones block until it has changed. `None` once the VM has ended and its last
    /// state was taken.
    fn next(&mut self) -> Option<State> {
        self.runtime.block_on(self.inner.next())
    }
}
