//! What most programs need, for `use qemuctl::prelude::*`.

pub use crate::config::{
    Boot, CharBackend, Cpu, Disk, DiskBackend, Machine, Memory, NetBackend, Network, Size, VmConfig,
};
pub use crate::control::{StopOutcome, StopStep};
pub use crate::guest::{Agent, Console, Exec, Output};
pub use crate::{Error, ExitReason, Instance, LaunchOptions, State};
