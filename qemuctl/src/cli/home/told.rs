//! The state of a machine and how it ended, in words.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use qemuctl::ExitReason;
use qemuctl::home::{LastRun, RunEnd, RunState, Status};

/// Returns the state in one word.
pub(crate) fn state(status: &Status) -> &'static str {
    match status.state() {
        RunState::Running => "running",
        RunState::Starting => "starting",
        RunState::Restarting => "restarting",
        RunState::Saved => "saved",
        RunState::New => "new",
        _ => "stopped",
    }
}

/// Returns how its last run ended. `None` if it has never run, or is running.
pub(crate) fn ended(status: &Status) -> Option<String> {
    let end = status.run.as_ref().and_then(|run| run.end.as_ref());
    match (status.state(), end) {
        (RunState::EndedUnseen, _) => Some("unknown: QEMU ended while no keeper was running".to_owned()),
        (RunState::HostRestarted, _) => Some("the host was restarted".to_owned()),
        (_, Some(RunEnd::Ended { reason: ExitReason::Lost, .. })) => {
            Some("unknown: QEMU is gone, and its exit status was not available".to_owned())
        }
        (_, Some(RunEnd::Ended { reason, .. })) => Some(reason.to_string()),
        (_, Some(RunEnd::Failed { message })) => {
            let line = message.lines().next().unwrap_or_default();
            Some(format!("did not start: {line}"))
        }
        _ => None,
    }
}

/// Formats a time (UTC).
pub(super) fn moment(ms: u64) -> String {
    humantime::format_rfc3339_seconds(UNIX_EPOCH + Duration::from_millis(ms)).to_string()
}

/// Returns how long ago a run ended, in seconds.
pub(crate) fn ago_s(run: &LastRun) -> Option<u64> {
    let at = UNIX_EPOCH + Duration::from_millis(run.ended_ms?);
    Some(SystemTime::now().duration_since(at).unwrap_or_default().as_secs())
}
