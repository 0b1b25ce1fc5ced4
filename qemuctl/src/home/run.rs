//! How the last run of a machine began and ended: `run.json`.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{SystemTime, UNIX_EPOCH};

use serde::{Deserialize, Serialize};

use crate::error::Error;
use crate::reason::ExitReason;
use crate::runtime::{Record, read_regular};
use qemu_discovery::process::ProcessExit;

use super::files::io_error;

/// What is known of a machine's last run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct LastRun {
    /// When it began, in milliseconds since 1970.
    pub started_ms: u64,
    /// QEMU's process id, once it was started.
    pub pid: Option<u32>,
    /// Which boot of the host it was in.
    pub boot: String,
    /// Where its sockets and its record are.
    pub socket_dir: PathBuf,
    /// When it ended, in milliseconds since 1970, if somebody saw it.
    pub ended_ms: Option<u64>,
    /// How it ended, if somebody saw it.
    pub end: Option<RunEnd>,
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RunEnd {
    /// The VM ran, and ended.
    Ended {
        /// Why.
        reason: ExitReason,
        /// How QEMU's process ended.
        process: ProcessExit,
    },
    /// The VM did not start.
    Failed {
        /// What was wrong.
        message: String,
    },
}

/// What a machine does.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunState {
    /// It has never run.
    New,
    /// It runs.
    Running,
    /// It is being started.
    Starting,
    /// It has ended, and is going to be started again by its restart policy.
    Restarting,
    /// It has ended; how, its last run tells.
    Ended,
    /// It has ended, and nobody saw it: QEMU and the process that kept it were killed.
    EndedUnseen,
    /// It ended with the host, which has been started again since.
    HostRestarted,
}

/// What a machine does, and what is known of its last run.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Status {
    /// Its last run, if it ever ran. That of one that runs has no end.
    pub run: Option<LastRun>,
    /// The process that runs or keeps it; 0 if that cannot be told yet. `None`: nobody does.
    pub keeper: Option<u32>,
    record: Option<Box<Record>>,
}

impl Status {
    pub(super) fn new(name: &str, run: Option<LastRun>, keeper: Option<u32>) -> Self {
        let record = match &run {
            Some(run) if run.end.is_none() => Record::read(&run.socket_dir, name).ok().flatten(),
            _ => None,
        };
        Self { record: record.filter(Record::is_alive).map(Box::new), run, keeper }
    }

    /// The record of its VM, if that runs.
    pub fn record(&self) -> Option<&Record> {
        self.record.as_deref()
    }

    /// What it does.
    pub fn state(&self) -> RunState {
        match (&self.record, &self.run, self.keeper) {
            // QEMU is there, and sets the machine up.
            (Some(_), Some(LastRun { pid: None, .. }), Some(_)) => RunState::Starting,
            (Some(_), ..) => RunState::Running,
            (None, Some(LastRun { end: Some(_), .. }), Some(_)) => RunState::Restarting,
            (None, _, Some(_)) => RunState::Starting,
            (None, None, None) => RunState::New,
            (None, Some(LastRun { end: Some(_), .. }), None) => RunState::Ended,
            (None, Some(run), None) if run.boot != boot() => RunState::HostRestarted,
            (None, Some(_), None) => RunState::EndedUnseen,
        }
    }
}

impl LastRun {
    /// A run that begins now.
    pub(super) fn now(socket_dir: PathBuf) -> Self {
        let (ended_ms, end) = (None, None);
        Self { started_ms: now_ms(), pid: None, boot: boot(), socket_dir, ended_ms, end }
    }

    /// Reads it from `path`; `None` if the machine has never run.
    pub(super) fn read(path: &Path) -> Result<Option<Self>, Error> {
        let text = match read_regular(path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(io_error("read", path)(error)),
        };
        // One of another release tells nothing, and keeps nobody from starting the machine.
        Ok(serde_json::from_str(&text).ok())
    }
}

/// Milliseconds since 1970.
pub(super) fn now_ms() -> u64 {
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

/// Which boot of the host this is.
fn boot() -> String {
    std::fs::read_to_string("/proc/sys/kernel/random/boot_id").unwrap_or_default().trim().to_owned()
}
