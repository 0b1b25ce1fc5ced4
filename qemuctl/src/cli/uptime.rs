//! The uptime of a process.

use std::fmt;
use std::os::unix::fs::MetadataExt;
use std::time::{Duration, SystemTime};

/// Returns the process's uptime in seconds: the kernel creates its directory in /proc when it starts.
pub(crate) fn uptime_s(pid: u32) -> Option<u64> {
    let started = std::fs::metadata(format!("/proc/{pid}")).ok()?.ctime();
    let started = SystemTime::UNIX_EPOCH + Duration::from_secs(u64::try_from(started).ok()?);
    SystemTime::now().duration_since(started).ok().map(|uptime| uptime.as_secs())
}

/// Seconds, printed in the two largest units.
pub(crate) struct Uptime(pub(crate) u64);

impl fmt::Display for Uptime {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (minutes, seconds) = (self.0 / 60, self.0 % 60);
        let (hours, minutes) = (minutes / 60, minutes % 60);
        let (days, hours) = (hours / 24, hours % 24);
        match (days, hours, minutes) {
            (0, 0, 0) => write!(f, "{seconds}s"),
            (0, 0, _) => write!(f, "{minutes}m {seconds}s"),
            (0, _, _) => write!(f, "{hours}h {minutes}m"),
            _ => write!(f, "{days}d {hours}h"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn two_units_are_enough() {
        let printed = [0, 59, 61, 3_600, 90_061].map(|seconds| Uptime(seconds).to_string());
        assert_eq!(printed, ["0s", "59s", "1m 1s", "1h 0m", "1d 1h"]);
    }
}
