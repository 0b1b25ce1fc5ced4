//! The few commands that the first slice needs, until the generated ones take their place.

use serde::{Deserialize, Serialize};

use crate::{Command, Empty};

macro_rules! plain {
    ($($name:ident, $wire:literal, $reply:ty;)*) => {$(
        #[doc = concat!("`", $wire, "`")]
        #[derive(Clone, Debug, Default, PartialEq, Serialize)]
        pub struct $name {}
        impl Command for $name {
            const NAME: &'static str = $wire;
            type Return = $reply;
        }
    )*};
}

plain! {
    QueryStatus, "query-status", StatusInfo;
    QueryVersion, "query-version", crate::VersionInfo;
    QueryName, "query-name", NameInfo;
    Stop, "stop", Empty;
    Cont, "cont", Empty;
    SystemReset, "system_reset", Empty;
    SystemPowerdown, "system_powerdown", Empty;
    Quit, "quit", Empty;
}

/// Whether and how the guest runs.
#[derive(Clone, Debug, PartialEq, Deserialize)]
#[non_exhaustive]
pub struct StatusInfo {
    /// True while the virtual CPUs run.
    pub running: bool,
    /// The run state.
    pub status: RunState,
}

/// QEMU's run states.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
#[expect(missing_docs, reason = "the generated type documents them")]
pub enum RunState {
    Debug,
    Inmigrate,
    InternalError,
    IoError,
    Paused,
    Postmigrate,
    Prelaunch,
    FinishMigrate,
    RestoreVm,
    Running,
    SaveVm,
    Shutdown,
    Suspended,
    Watchdog,
    GuestPanicked,
    Colo,
    #[serde(untagged)]
    Unknown(String),
}

/// The guest's name.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
#[non_exhaustive]
pub struct NameInfo {
    /// As given by `-name`.
    pub name: Option<String>,
}
