//! Events for `tracing` subscribers, with the feature `tracing`.
//!
//! Only names, sizes and outcomes are reported; arguments, replies and event data may contain secrets.

use crate::error::{ClientError, CloseReason};

/// The span of one command, from its creation to its outcome. Without an outcome, the caller has given up.
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

    /// The command has failed. QEMU's message may contain an argument, so only the kind is reported.
    pub(crate) fn failed(&self, error: &ClientError) {
        #[cfg(feature = "tracing")]
        self.span.in_scope(|| tracing::debug!(target: "qmp_client", error = error.kind(), "failed"));
        #[cfg(not(feature = "tracing"))]
        let _ = (self, error);
    }
}

/// An event was received.
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
