//! Launch options: timeouts, directories and resources.

use std::collections::BTreeMap;
use std::os::fd::OwnedFd;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use qemu_argv::{FdRole, Plan};
use tokio::sync::watch;

use crate::error::Phase;
use crate::saved::SavedState;

use super::SecretSource;

/// How a VM is launched.
#[derive(Clone, Debug)]
pub struct LaunchOptions {
    /// The timeout for QEMU to become ready. A QEMU that fails is reported at once.
    pub ready_timeout: Duration,
    /// The timeout of each QMP command.
    pub command_timeout: Duration,
    /// The directory of the sockets, the lock and the record. Overrides the config's `socket_dir`.
    pub socket_dir: Option<PathBuf>,
    /// Where a detached VM stores its plan and its UEFI variables for its next start. Defaults to the socket directory
    /// if one is given, and otherwise to [`default_state_dir`](crate::runtime::default_state_dir).
    pub state_dir: Option<PathBuf>,
    /// A directory for this VM only, as for a persistent [machine](crate::home). Its plan, its UEFI variables and
    /// QEMU's output in the background are stored there (`plan.json`, `vars.fd` or `vars.qcow2`, `qemu.log`), even if
    /// the VM ends with this process. Overrides `state_dir`.
    pub keep_dir: Option<PathBuf>,
    /// The file that the config was read from, recorded in the VM's [`Record`](crate::runtime::Record).
    pub config_file: Option<PathBuf>,
    /// A saved state in which the machine goes on, instead of booting. The config must be the one that it was saved with
    /// ([`SavedState::config`]), and the disks must not have changed since. The file is only read.
    pub resume: Option<SavedState>,
    /// Do not start the guest's CPUs, regardless of the config.
    pub paused: bool,
    /// A file to which the output of the serial console is copied.
    pub console_log: Option<PathBuf>,
    /// The plan of an earlier launch of this VM ([`Instance::plan`](crate::Instance::plan)): devices that still exist
    /// keep their addresses, so that the names of interfaces in the guest do not change. A detached VM stores its own
    /// plan.
    pub earlier: Option<Plan>,
    /// Secrets by their ids, for those that the config contains without a value. They override the config.
    pub secrets: BTreeMap<String, SecretSource>,
    /// File descriptors that QEMU inherits, such as the queues of a TAP interface, by their roles in the plan.
    pub descriptors: Vec<(FdRole, Arc<OwnedFd>)>,
    /// The niceness of QEMU relative to this process, from -20 to 19. Negative numbers require privileges.
    pub nice: Option<i32>,
    /// The host CPUs that QEMU may run on, counted from 0.
    pub cpus: Option<Vec<usize>>,
    /// The directory of the control group (v2) in which to start QEMU, such as `/sys/fs/cgroup/machine.slice/web`. It
    /// must exist, and this process must have permission to move processes there.
    pub cgroup: Option<PathBuf>,
    /// Receives each step of the launch as it begins.
    pub phase: Option<watch::Sender<Phase>>,
}

/// How many bytes of a saved state a second are loaded at least.
const LOADS: u64 = 20 << 20;

impl LaunchOptions {
    /// The deadline of the launch, which loads a saved state as well.
    pub(super) fn timeout(&self) -> Duration {
        let bytes = self.resume.as_ref().map_or(0, SavedState::bytes);
        self.ready_timeout.saturating_add(Duration::from_secs(bytes / LOADS))
    }

    /// Reports that a step begins.
    pub(super) fn tell(&self, phase: Phase) {
        if let Some(sender) = &self.phase {
            sender.send_replace(phase);
        }
    }
}

impl Default for LaunchOptions {
    fn default() -> Self {
        Self {
            ready_timeout: Duration::from_secs(60),
            command_timeout: Duration::from_secs(30),
            socket_dir: None,
            state_dir: None,
            keep_dir: None,
            config_file: None,
            resume: None,
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
