//! What a detached VM keeps from one launch to the next: the places of its devices, and its firmware's variables.

use std::io;
use std::path::PathBuf;

use qemu_argv::{Plan, VmConfig};

use crate::error::Error;
use crate::runtime::{SocketDir, default_state_dir, read_regular, write_private};

use super::LaunchOptions;

/// The directory with what VMs keep, and one VM in it.
pub(super) struct Kept {
    dir: SocketDir,
    /// What the names of the VM's files begin with: nothing where it has the directory for itself.
    prefix: String,
}

impl Kept {
    /// In the VM's own directory if it has one. With a socket directory of the caller's own, everything is there; else in a place
    /// that outlives a reboot.
    pub(super) fn open(name: &str, config: &VmConfig, options: &LaunchOptions) -> Result<Self, Error> {
        if let Some(dir) = &options.keep_dir {
            return Ok(Self { dir: SocketDir::open(dir)?, prefix: String::new() });
        }
        let chosen = [&options.state_dir, &options.socket_dir, &config.socket_dir];
        let dir = match chosen.into_iter().flatten().next() {
            Some(dir) => SocketDir::open(dir)?,
            None => SocketDir::open(&default_state_dir()?)?,
        };
        Ok(Self { dir, prefix: format!("{name}.") })
    }

    /// The path of the firmware's variables, without the ending.
    pub(super) fn vars(&self) -> PathBuf {
        self.dir.file(&self.prefix, "vars")
    }

    fn path(&self) -> PathBuf {
        self.dir.file(&self.prefix, "plan.json")
    }

    /// The plan of the last launch. One that cannot be used any more is told in `warnings`, and devices may move.
    pub(super) fn plan(&self, warnings: &mut Vec<String>) -> Option<Plan> {
        let path = self.path();
        let read = || -> io::Result<Plan> { Ok(serde_json::from_str(&read_regular(&path)?)?) };
        match read() {
            Ok(plan) => Some(plan),
            Err(error) if error.kind() == io::ErrorKind::NotFound => None,
            Err(error) => {
                warnings.push(format!(
                    "cannot use the plan in {} ({error}): device addresses may have changed",
                    path.display()
                ));
                None
            }
        }
    }

    /// Keeps the plan for the next launch.
    pub(super) fn write(&self, plan: &Plan) -> Result<(), Error> {
        let path = self.path();
        let write =
            || write_private(&self.dir.file(&self.prefix, "plan.new"), &path, &serde_json::to_vec(plan)?);
        write().map_err(|source| Error::Io { action: "keep the plan in", path: path.clone(), source })
    }
}
