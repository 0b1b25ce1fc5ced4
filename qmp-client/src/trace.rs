//! What a session tells a `tracing` subscriber, if the feature `tracing` is on.
//!
//! Names, sizes and outcomes only: arguments, replies and event data may hold secrets and are never told.

use crate::error::{ClientError, CloseReason};

/// One command, from its making to its outcome: a span, closed when it is dropped. One without an outcome was
/// given up by its caller.
pub(crate) struct CommandSpan {
    #[cfg(feature = "tracing")]
    span: tracing::Span,
}

impl CommandSpan {
    pub(crate) fn new(command: &str, bytes: usize) -> Self {
        #[cfg(not(feature = "tracing"))]
        let _ = (command, bytes);
        Self {
            #[cfg(feature = "tracing")]
            span: tracing::debug_span!(target: "qmp_client", "command", command, bytes),
        }
    }

    /// The command was answered.
    pub(crate) fn ended(&self, bytes: usize) {
        #[cfg(feature = "tracing")]
        self.span.in_scope(|| tracing::debug!(target: "qmp_client", bytes, "reply"));
        #[cfg(not(feature = "tracing"))]
        let _ = (self, bytes);
    }

    /// The command has failed. QEMU's own text may repeat an argument, so only the kind is told.
    pub(crate) fn failed(&self, error: &ClientError) {
        #[cfg(feature = "tracing")]
        self.span.in_scope(|| tracing::debug!(target: "qmp_client", error = error.kind(), "failed"));
        #[cfg(not(feature = "tracing"))]
        let _ = (self, error);
    }
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
