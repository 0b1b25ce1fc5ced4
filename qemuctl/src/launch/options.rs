//! Deadlines and places of a launch.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use qemu_argv::{FdRole, Plan};
use tokio::sync::watch;

use super::{Phase, SecretSource};

/// How a VM is launched, beyond what it is.
#[derive(Clone, Debug)]
pub struct LaunchOptions {
    /// How long QEMU may take until it answers. A QEMU that fails is told at once, not after this.
    pub ready_within: Duration,
    /// How long QEMU may take to answer a command.
    pub command_within: Duration,
    /// Where sockets, lock and record go; before the config's own `socket_dir`.
    pub socket_dir: Option<PathBuf>,
    /// Where a detached VM keeps its plan and its UEFI variables for its next start. Left out: in the socket directory if one
    /// is given, else in [`default_state_dir`](crate::runtime::default_state_dir).
    pub state_dir: Option<PathBuf>,
    /// Leave the guest frozen before its first instruction, whatever the config says.
    pub paused: bool,
    /// Keep the guest's serial console in this file too.
    pub console_log: Option<PathBuf>,
    /// The plan of an earlier launch of this VM ([`Instance::plan`](crate::Instance::plan)): devices that are still
    /// there keep their addresses, and so guests their interface names. A detached VM keeps its own.
    pub earlier: Option<Plan>,
    /// The secrets that the config only names, by their ids. They go before those in the config.
    pub secrets: BTreeMap<String, SecretSource>,
    /// Descriptors that QEMU inherits, such as the queues of a tap interface, by what the plan wants them for.
    pub descriptors: Vec<(FdRole, Arc<OwnedFd>)>,
    /// Is told each step of the launch as it begins, for those who show it.
    pub phase: Option<watch::Sender<Phase>>,
}

impl LaunchOptions {
    /// Tells that a step begins.
    pub(super) fn tell(&self, phase: Phase) {
        if let Some(sender) = &self.phase {
            sender.send_replace(phase);
        }
    }
}

impl Default for LaunchOptions {
    fn default() -> Self {
        Self {
            ready_within: Duration::from_secs(60),
            command_within: Duration::from_secs(30),
            socket_dir: None,
            state_dir: None,
            paused: false,
            console_log: None,
            earlier: None,
            secrets: BTreeMap::new(),
            descriptors: Vec::new(),
            phase: None,
        }
    }
}
