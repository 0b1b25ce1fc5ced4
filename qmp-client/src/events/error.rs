//! Why a subscriber gets no event.

use std::time::Duration;

use crate::error::CloseReason;

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
