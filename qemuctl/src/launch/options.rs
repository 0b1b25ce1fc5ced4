//! Deadlines and places of a launch.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use qemu_argv::{FdRole, Plan};
use tokio::sync::watch;

use crate::error::Phase;

use super::SecretSource;

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
    /// A directory of this VM alone, as a machine of the [home](crate::home) has one. Its plan, its UEFI variables and what QEMU
    /// prints in the background are kept there (`plan.json`, `vars.fd` or `vars.qcow2`, `qemu.log`), also when the VM ends with this
    /// process. Before `state_dir`.
    pub keep_dir: Option<PathBuf>,
    /// The file that the config was read from, for whoever asks later: the VM's [`Record`](crate::runtime::Record) names
    /// it.
    pub config_file: Option<PathBuf>,
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
    /// How much nicer than this process QEMU is, from -20 to 19. A negative number needs privileges.
    pub nice: Option<i32>,
    /// The processors of the host that QEMU may run on, counted from 0.
    pub cpus: Option<Vec<usize>>,
    /// The directory of the control group (v2) that QEMU is started in, such as `/sys/fs/cgroup/machine.slice/web`. It must
    /// exist, and this process must be allowed to move a process there.
    pub cgroup: Option<PathBuf>,
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
            keep_dir: None,
            config_file: None,
            paused: false,
            console_log: None,
            earlier: None,
            secrets: BTreeMap::new(),
            descriptors: Vec::new(),
            nice: None,
            cpus: None,
            cgroup: None,
            phase: None,
        }
    }
}
