//! The state of a VM.
//!
//! A state is QEMU's answer to `query-status`, or what is known when QEMU cannot answer; events only trigger a query.
//! So a state never contradicts QEMU: RESET does not mean "running", and an I/O error is not a crash.

use std::fmt;

use qmp_proto::{AnyEvent, RunState};
use serde::Serialize;

/// The state of a VM.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum State {
    /// Nothing is known yet.
    Unknown,
    /// QEMU is running, but the guest has not been started.
    Prelaunch,
    /// The guest is running.
    Running,
    /// Paused by a command; `resume` continues.
    Paused,
    /// The guest is suspended (ACPI S3); `wake` continues.
    Suspended,
    /// The guest has shut down.
    Shutdown,
    /// QEMU ended unexpectedly.
    Crashed,
    /// QEMU is running but does not answer.
    Unresponsive,
    /// The guest waits for an incoming migration.
    InMigrate,
    /// The last step of an outgoing migration.
    FinishMigrate,
    /// Migrated to another host.
    PostMigrate,
    /// A snapshot is being saved.
    SaveVm,
    /// A snapshot is being restored.
    RestoreVm,
    /// Paused by a disk error, according to the disk's error policy.
    IoError,
    /// Paused by the watchdog.
    Watchdog,
    /// The guest's kernel has panicked.
    GuestPanicked,
    /// Paused because of an unrecoverable error of QEMU or the accelerator.
    InternalError,
    /// Paused by a debugger.
    Debug,
    /// Replicating to another host.
    Colo,
    /// A run state that is unknown to this library; contains QEMU's word.
    Other(String),
}

impl State {
    /// Whether QEMU has ended, or its guest has for good.
    pub fn is_over(&self) -> bool {
        matches!(self, Self::Shutdown | Self::Crashed)
    }
}

impl State {
    /// Returns a clause that says why a VM is not running or paused.
    pub(crate) fn clause(&self) -> String {
        match self {
            Self::Running => "it is running".to_owned(),
            Self::Paused => "it is paused".to_owned(),
            Self::Prelaunch => "it has not been started yet".to_owned(),
            Self::Suspended => "the guest is suspended".to_owned(),
            Self::Shutdown => "the guest has shut down".to_owned(),
            Self::Crashed => "QEMU has crashed".to_owned(),
            Self::InMigrate => "it waits for an incoming migration".to_owned(),
            Self::PostMigrate => "it was migrated to another host".to_owned(),
            Self::IoError => "a disk error paused it".to_owned(),
            Self::Watchdog => "the watchdog paused it".to_owned(),
            Self::GuestPanicked => "the guest's kernel has panicked".to_owned(),
            Self::InternalError => "QEMU or the accelerator had an unrecoverable error".to_owned(),
            Self::Debug => "a debugger paused it".to_owned(),
            other => format!("it is {other}"),
        }
    }

    /// Whether QEMU leaves the state by itself without an event, so that it has to be polled.
    pub(crate) fn is_passing(&self) -> bool {
        matches!(self, Self::InMigrate | Self::FinishMigrate | Self::SaveVm | Self::RestoreVm)
    }
}

impl From<RunState> for State {
    /// The answer to `query-status`.
    fn from(status: RunState) -> Self {
        match status {
            RunState::Prelaunch => Self::Prelaunch,
            RunState::Running => Self::Running,
            RunState::Paused => Self::Paused,
            RunState::Suspended => Self::Suspended,
            RunState::Shutdown => Self::Shutdown,
            RunState::Inmigrate => Self::InMigrate,
            RunState::FinishMigrate => Self::FinishMigrate,
            RunState::Postmigrate => Self::PostMigrate,
            RunState::SaveVm => Self::SaveVm,
            RunState::RestoreVm => Self::RestoreVm,
            RunState::IoError => Self::IoError,
            RunState::Watchdog => Self::Watchdog,
            RunState::GuestPanicked => Self::GuestPanicked,
            RunState::InternalError => Self::InternalError,
            RunState::Debug => Self::Debug,
            RunState::Colo => Self::Colo,
            other => Self::Other(word(&other)),
        }
    }
}

/// Returns QEMU's word for an enum value.
pub(crate) fn word(value: &impl Serialize) -> String {
    match serde_json::to_value(value) {
        Ok(serde_json::Value::String(word)) => word,
        _ => "unknown".to_owned(),
    }
}

impl fmt::Display for State {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Unknown => "unknown",
            Self::Prelaunch => "prelaunch",
            Self::Running => "running",
            Self::Paused => "paused",
            Self::Suspended => "suspended",
            Self::Shutdown => "shutdown",
            Self::Crashed => "crashed",
            Self::Unresponsive => "unresponsive",
            Self::InMigrate => "inmigrate",
            Self::FinishMigrate => "finish-migrate",
            Self::PostMigrate => "postmigrate",
            Self::SaveVm => "save-vm",
            Self::RestoreVm => "restore-vm",
            Self::IoError => "io-error",
            Self::Watchdog => "watchdog",
            Self::GuestPanicked => "guest-panicked",
            Self::InternalError => "internal-error",
            Self::Debug => "debug",
            Self::Colo => "colo",
            Self::Other(word) => word,
        })
    }
}

/// Whether an event may change the answer to `query-status`.
pub(crate) fn may_change_status(event: &AnyEvent) -> bool {
    matches!(
        event,
        AnyEvent::Stop(_)
            | AnyEvent::Resume(_)
            | AnyEvent::Reset(_)
            | AnyEvent::Shutdown(_)
            | AnyEvent::Suspend(_)
            | AnyEvent::SuspendDisk(_)
            | AnyEvent::Wakeup(_)
            | AnyEvent::GuestPanicked(_)
            | AnyEvent::Watchdog(_)
            | AnyEvent::BlockIoError(_)
            | AnyEvent::Migration(_)
    )
}
