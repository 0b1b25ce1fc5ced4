//! The record of a machine's last run: `run.json`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::reason::ExitReason;
use crate::runtime::{Record, read_regular};
use qemu_discovery::process::ProcessExit;

use super::files::io_error;

/// A machine's last run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LastRun {
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
    /// QEMU's process id, after it was started.
    pub pid: Option<u32>,
    /// The id of the host's boot.
    pub boot: String,
    /// The directory of its sockets and its record.
    pub socket_dir: PathBuf,
    /// When it ended, in milliseconds since 1970, if known.
    pub ended_ms: Option<u64>,
    /// How it ended, if known.
    pub end: Option<RunEnd>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RunEnd {
    /// The VM ran, and ended.
    Ended {
        /// The exit reason.
        reason: ExitReason,
        /// How QEMU's process ended.
        process: ProcessExit,
    },
    /// The VM did not start.
    Failed {
        /// The error message.
        message: String,
    },
}

/// The state of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunState {
    /// It has never been started.
    New,
    /// It is running.
    Running,
    /// It is being started.
    Starting,
    /// It has ended, and will be restarted according to its policy.
    Restarting,
    /// It was saved, and goes on where it was when it is started.
    Saved,
    /// It has ended; the last run says how.
    Ended,
    /// It has ended unobserved: QEMU and its keeper were killed.
    EndedUnseen,
    /// It ended because the host was restarted.
    HostRestarted,
}

/// The state of a machine and its last run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Its last run, if there was one. The run of a running machine has no end.
    pub run: Option<LastRun>,
    /// The process that runs it, or 0 if its id is not known yet. `None` if there is none.
    pub keeper: Option<u32>,
    record: Option<Box<Record>>,
    is_saved: bool,
}

impl Status {
    pub(super) fn new(name: &str, run: Option<LastRun>, keeper: Option<u32>, is_saved: bool) -> Self {
        let record = match &run {
            Some(run) if run.end.is_none() => Record::read(&run.socket_dir, name).ok().flatten(),
            _ => None,
        };
        Self { record: record.filter(Record::is_alive).map(Box::new), run, keeper, is_saved }
    }

    /// Returns the record of its VM, if it is running.
    pub fn record(&self) -> Option<&Record> {
        self.record.as_deref()
    }

    /// Returns its state.
    pub fn state(&self) -> RunState {
        match (&self.record, &self.run, self.keeper) {
            // QEMU is running and sets the machine up.
            (Some(_), Some(LastRun { pid: None, .. }), Some(_)) => RunState::Starting,
            (Some(_), ..) => RunState::Running,
            (None, Some(LastRun { end: Some(_), .. }), Some(_)) => RunState::Restarting,
            (None, _, Some(_)) => RunState::Starting,
            (None, _, None) if self.is_saved => RunState::Saved,
            (None, None, None) => RunState::New,
            (None, Some(LastRun { end: Some(_), .. }), None) => RunState::Ended,
            (None, Some(run), None) if run.boot != boot() => RunState::HostRestarted,
            (None, Some(_), None) => RunState::EndedUnseen,
        }
    }
}

impl LastRun {
    /// Returns a run that begins now.
    pub(super) fn now(socket_dir: PathBuf) -> Self {
        let (ended_ms, end) = (None, None);
        Self { started_ms: now_ms(), pid: None, boot: boot(), socket_dir, ended_ms, end }
    }

    /// Reads it from `path`. Returns `None` if the machine has never run.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let text = match read_regular(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", path)(error)),
        };
        // A record of a different release is ignored, so that the machine can still be started.
        Ok(serde_json::from_str(&text).ok())
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Returns the id of the host's boot.
fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
