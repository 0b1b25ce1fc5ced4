//! Events for `tracing` subscribers, with the feature `tracing`.
//!
//! Contains names, phases and outcomes, but nothing that may be secret.

use crate::error::{LaunchFailure, Phase};
use crate::reason::ExitReason;
use crate::state::State;

/// Runs `work` in the span of a VM's launch.
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

/// Runs `work` in the span of a launch phase.
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

/// QEMU was started.
pub(crate) fn spawned(pid: u32) {
    #[cfg(feature = "tracing")]
    tracing::debug!(target: "qemuctl", pid, "spawned");
    #[cfg(not(feature = "tracing"))]
    let _ = pid;
}

/// A launch has failed. Only the class of the failure is reported; the error has QEMU's output and the command.
pub(crate) fn failed(failure: &LaunchFailure) {
    #[cfg(feature = "tracing")]
    tracing::warn!(target: "qemuctl", vm = failure.name, phase = %failure.phase, cause = %failure.cause, "launch failed");
    #[cfg(not(feature = "tracing"))]
    let _ = failure;
}

/// The state of a VM has changed.
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
