//! The record of a running VM, for other processes: `<dir>/<name>.json`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use serde::{Deserialize, Serialize};

use crate::error::Error;
use qemu_discovery::process::{Process, Watcher};

use super::SocketDir;
use super::life::{self, Life};
use super::plain::read_regular;

const ENDING: &str = ".json";
const DRAFT: &str = ".json.new";

/// The record of a VM that was launched by this library.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The VM's name.
    pub name: String,
    /// QEMU's process id, or 0 if its launcher was killed before QEMU was started.
    pub pid: u32,
    /// When that process started, in clock ticks since boot. Together with the id it identifies the process uniquely.
    pub started: u64,
    /// The UUID that the guest sees, if one was set.
    pub uuid: Option<String>,
    /// Whether the VM outlives its launcher.
    pub detached: bool,
    /// The monitor socket.
    pub socket: PathBuf,
    /// All files of the VM, which are removed when it ends.
    pub files: Vec<PathBuf>,
    /// The file that the config was read from, if known.
    #[serde(default)]
    pub config_file: Option<PathBuf>,
    /// How to log in to the guest by SSH, if the config has a section `guest`.
    #[serde(default)]
    pub ssh: Option<SshLogin>,
    /// The config it was launched from. It does not contain secrets, only their sources.
    pub config: qemu_argv::VmConfig,
    /// The plan: ids and addresses, updated by hotplug.
    pub plan: qemu_argv::Plan,
}

/// How to log in to a guest by SSH. The host's side of the port is in
/// [`forwarded_ports`](crate::Instance::forwarded_ports).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct SshLogin {
    /// The user.
    pub user: String,
    /// The file with the machine's own private key, which the guest accepts.
    pub identity: PathBuf,
    /// A `known_hosts` file with the guest's key, for the host [`HOST_ALIAS`](Self::HOST_ALIAS).
    pub known_hosts: PathBuf,
}

impl SshLogin {
    /// The name of the guest in `known_hosts` (`HostKeyAlias` of `ssh_config`).
    pub const HOST_ALIAS: &str = "guest";
}

impl Record {
    /// Reads the record of `name` in `dir`. Returns `None` if there is none.
    ///
    /// # Errors
    ///
    /// - [`Error::SocketDirUnsafe`] if other users could have written it.
    /// - [`Error::Io`] if the file cannot be read, or is not a record.
    pub fn read(dir: &Path, name: &str) -> Result<Option<Self>, Error> {
        super::check_name(name)?;
        match SocketDir::find(dir)? {
            Some(dir) => Self::read_in(&dir, name),
            None => Ok(None),
        }
    }

    pub(crate) fn read_in(dir: &SocketDir, name: &str) -> Result<Option<Self>, Error> {
        super::check_name(name)?;
        let path = dir.file(name, ENDING);
        let fail = |source| Error::Io { action: "read the record", path: path.clone(), source };
        let text = match read_regular(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        let mut record: Self = serde_json::from_str(&text).map_err(|error| fail(error.into()))?;
        // Its launcher was killed around the start of QEMU. QEMU's command line shows whether it was started.
        if record.pid == 0
            && let Some(process) = life::find_qemu(&record.name, &record.socket)
        {
            (record.pid, record.started) = (process.pid(), process.started());
        }
        Ok(Some(record))
    }

    /// Returns the records in `dir`, sorted by name. Unreadable ones are skipped.
    ///
    /// # Errors
    ///
    /// - [`Error::SocketDirUnsafe`] if other users could have written them.
    /// - [`Error::Io`] if the directory cannot be read. A directory that does not exist has no records.
    pub fn all(dir: &Path) -> Result<Vec<Self>, Error> {
        let Some(dir) = SocketDir::find(dir)? else { return Ok(Vec::new()) };
        let mut records = Vec::new();
        for file in dir.list()? {
            let name = file.strip_suffix(ENDING).filter(|_| !file.ends_with(".plan.json"));
            if let Some(Ok(Some(record))) = name.map(|name| Self::read_in(&dir, name)) {
                records.push(record);
            }
        }
        records.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(records)
    }

    /// Whether the VM is running. A recycled process id does not count: the process must be that QEMU, or the VM's
    /// sockets must be served by a process that is not visible, for example in another PID namespace.
    pub fn is_alive(&self) -> bool {
        !matches!(self.life(), Life::Gone)
    }

    /// Whether QEMU's process is visible and running.
    pub fn is_visible(&self) -> bool {
        self.process().is_some()
    }

    pub(crate) fn life(&self) -> Life {
        let process = self.process();
        if process.is_none() {
            life::wait_for_rest(self.pid, self.started);
        }
        match process {
            Some(process) => Life::Process(process),
            None if self.is_served() => Life::OutOfSight,
            None => Life::Gone,
        }
    }

    /// Returns the process of the record, if it is that QEMU and is running.
    fn process(&self) -> Option<Arc<Process>> {
        life::qemu_of(self.pid, &self.name).filter(|process| process.started() == self.started)
    }

    /// Whether `process`, which serves the record's socket, is its QEMU, under whatever number it is seen from here.
    pub(crate) fn is_of(&self, process: &Process) -> bool {
        (process.pid(), process.started()) == (self.pid, self.started)
            || life::runs(process.pid(), &self.name)
    }

    fn is_served(&self) -> bool {
        [&self.socket].into_iter().chain(&self.files).any(|path| life::is_served(path))
    }

    /// Removes the files of a dead VM whose name is locked; the record, which tells of them, is the last one to go.
    pub(crate) fn remove_files(&self, dir: &SocketDir) {
        for file in self.files.iter().rev().chain([&dir.file(&self.name, DRAFT), &self.path(dir)]) {
            // Nobody could act on an error: the name is free without it.
            let _ = dir.remove(file);
        }
    }

    /// Adds files that belong to the VM.
    pub(crate) fn owns(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        for file in files {
            if !self.files.contains(&file) {
                self.files.push(file);
            }
        }
    }

    /// Whether two records are of the same launch.
    pub(crate) fn is_same(&self, other: &Self) -> bool {
        (self.pid, self.started) == (other.pid, other.started)
    }

    /// Waits until the process of the record has ended. This does not use the monitor.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the process cannot be watched.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn ended(&self) -> Result<(), Error> {
        let fail = |source| Error::Io {
            action: "watch the process",
            path: format!("/proc/{}", self.pid).into(),
            source,
        };
        match Process::attach(self.pid) {
            Ok(process) if process.started() == self.started => {
                Watcher::new(process).map_err(fail)?.ended().await;
                Ok(())
            }
            Err(error) if self.is_alive() => Err(fail(error)),
            // It has ended, and its number may have gone to another process.
            _ => Ok(()),
        }
    }

    /// Returns the path of the record.
    pub(crate) fn path(&self, dir: &SocketDir) -> PathBuf {
        dir.file(&self.name, ENDING)
    }

    /// Writes the record so that a reader sees all of it or none.
    pub(crate) fn write(&self, dir: &SocketDir) -> Result<PathBuf, Error> {
        let path = self.path(dir);
        let draft = dir.file(&self.name, DRAFT);
        let write = || write_private(&draft, &path, &serde_json::to_vec_pretty(self)?);
        write().map_err(|source| {
            // Half a draft helps nobody. That it cannot be removed is not the error to tell.
            let _ = dir.remove(&draft);
            Error::Io { action: "write the record", path: path.clone(), source }
        })?;
        Ok(path)
    }
}

/// Writes a file of ours by way of `draft` beside it, so that a reader sees all of it or none.
pub(crate) fn write_private(draft: &Path, path: &Path, text: &[u8]) -> io::Result<()> {
    match fs::remove_file(draft) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
        _ => {}
    }
    let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(draft)?;
    file.write_all(text)?;
    fs::rename(draft, path)
}
