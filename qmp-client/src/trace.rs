//! What a session tells a `tracing` subscriber, if the feature `tracing` is on.
//!
//! Names, sizes and outcomes only: arguments, replies and event data may hold secrets and are never told.

use crate::error::{ClientError, CloseReason};

/// A command was handed to the session.
pub(crate) fn submitted(command: &str, bytes: usize) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "qmp_client", command, bytes, "command");
    #[cfg(not(feature = "tracing"))]
    let _ = (command, bytes);
}

/// A command was answered.
pub(crate) fn ended(command: &str, bytes: usize) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "qmp_client", command, bytes, "reply");
    #[cfg(not(feature = "tracing"))]
    let _ = (command, bytes);
}

/// A command has failed. QEMU's own text may repeat an argument, so only the kind is told.
pub(crate) fn failed(error: &ClientError) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "qmp_client", command = error.command(), error = error.kind(), "failed");
    #[cfg(not(feature = "tracing"))]
    let _ = error;
}

/// An event has come.
pub(crate) fn event(name: &str, bytes: usize) {
    #[cfg(feature = "tracing")]
    tracing::trace!(target: "qmp_client", name, bytes, "event");
    #[cfg(not(feature = "tracing"))]
    let _ = (name, bytes);
}

/// QEMU has not answered in time, or answers again.
pub(crate) fn responsive(responsive: bool) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "qmp_client", responsive, "liveness");
    #[cfg(not(feature = "tracing"))]
    let _ = responsive;
}

/// The connection has ended.
pub(crate) fn closed(reason: &CloseReason) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "qmp_client", reason = reason.kind(), "closed");
    #[cfg(not(feature = "tracing"))]
    let _ = reason;
}
