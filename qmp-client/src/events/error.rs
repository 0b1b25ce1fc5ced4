//! The error of receiving an event.

use std::time::Duration;

use crate::error::CloseReason;

/// Why there is no next event.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum EventsError {
    /// This many events were dropped because the subscriber was too slow. The next call continues after the gap; query
    /// again what the missed events may have changed.
    #[error("{0} events were missed: the subscriber was too slow")]
    Missed(u64),
    /// The connection has ended and all events were returned.
    #[error("no more events: the connection has ended")]
    Closed(#[source] CloseReason),
    /// The event was not received in time.
    #[error("no {name} within {after:?}")]
    Timeout {
        /// The event waited for.
        name: &'static str,
        /// The time that was waited.
        after: Duration,
    },
    /// The event was received, but its data does not have the expected form.
    #[error("{name}: cannot decode its data: {message}")]
    Decode {
        /// The event.
        name: &'static str,
        /// The reason.
        message: String,
    },
}
