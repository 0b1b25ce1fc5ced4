//! What is told to a `tracing` subscriber, if the feature `tracing` is on.
//!
//! Names, phases and outcomes: nothing that may hold a secret.

use crate::error::{LaunchFailure, Phase};
use crate::reason::ExitReason;
use crate::state::State;

/// Does `work` in the span of a VM's launch.
pub(crate) async fn launch<T>(name: Option<&str>, work: impl Future<Output = T>) -> T {
    #[cfg(feature = "tracing")]
    return tracing::Instrument::instrument(
        work,
        tracing::info_span!(target: "qemuctl", "launch", vm = name.unwrap_or_default()),
    )
    .await;
    #[cfg(not(feature = "tracing"))]
    {
        let _ = name;
        work.await
    }
}

/// Does `work` in the span of a launch's phase.
pub(crate) async fn phase<T>(phase: Phase, work: impl Future<Output = T>) -> T {
    #[cfg(feature = "tracing")]
    return tracing::Instrument::instrument(work, tracing::debug_span!(target: "qemuctl", "phase", %phase))
        .await;
    #[cfg(not(feature = "tracing"))]
    {
        let _ = phase;
        work.await
    }
}

/// QEMU runs.
pub(crate) fn spawned(pid: u32) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "qemuctl", pid, "spawned");
    #[cfg(not(feature = "tracing"))]
    let _ = pid;
}

/// A launch has failed. QEMU's words and the command are in the error; here is only what kind it is.
pub(crate) fn failed(failure: &LaunchFailure) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "qemuctl", vm = failure.name, phase = %failure.phase, cause = %failure.cause, "launch failed");
    #[cfg(not(feature = "tracing"))]
    let _ = failure;
}

/// A VM does something else now.
pub(crate) fn state(pid: Option<u32>, state: &State) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "qemuctl", pid, %state, "state");
    #[cfg(not(feature = "tracing"))]
    let _ = (pid, state);
}

/// A VM has ended.
pub(crate) fn ended(pid: Option<u32>, reason: &ExitReason) {
    #[cfg(feature = "tracing")]
    tracing::info!(target: "qemuctl", pid, %reason, "ended");
    #[cfg(not(feature = "tracing"))]
    let _ = (pid, reason);
}
