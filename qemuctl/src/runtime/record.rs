//! The record of a running VM, for processes that come later: `<dir>/<name>.json`.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use nix::fcntl::OFlag;
use serde::{Deserialize, Serialize};

use crate::error::Error;

use super::SocketDir;

const ENDING: &str = ".json";

/// What is known about a VM that was launched here.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Record {
    /// The VM's name.
    pub name: String,
    /// QEMU's process id.
    pub pid: u32,
    /// When that process started, in clock ticks since boot: with the id it names the process for ever.
    pub started: u64,
    /// The UUID that the guest sees, if it was given one.
    pub uuid: Option<String>,
    /// Whether the VM outlives its launcher.
    pub detached: bool,
    /// The monitor socket to attach to.
    pub socket: PathBuf,
    /// Everything that belongs to the VM and goes when it goes.
    pub files: Vec<PathBuf>,
    /// The config it was launched from. Secrets are not in it, only where they come from.
    pub config: qemu_argv::VmConfig,
    /// The plan made of the config: ids and addresses, kept when devices come and go.
    pub plan: qemu_argv::Plan,
}

impl Record {
    /// Reads the record of `name` in `dir`; `None` if there is none.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the file cannot be read, or is no record.
    pub fn read(dir: &Path, name: &str) -> Result<Option<Self>, Error> {
        super::check_name(name)?;
        let path = dir.join(format!("{name}{ENDING}"));
        let fail = |source| Error::Io { action: "read the record", path: path.clone(), source };
        let file = match OpenOptions::new().read(true).custom_flags(OFlag::O_NOFOLLOW.bits()).open(&path) {
            Ok(file) => file,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(error) => return Err(fail(error)),
        };
        let text = io::read_to_string(file).map_err(fail)?;
        serde_json::from_str(&text).map(Some).map_err(|error| fail(error.into()))
    }

    /// The records in `dir`, by name. One that cannot be read does not hide the others.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the directory cannot be read. A directory that is not there has no records.
    pub fn all(dir: &Path) -> Result<Vec<Self>, Error> {
        let fail = |source| Error::Io { action: "list the socket directory", path: dir.into(), source };
        let entries = match fs::read_dir(dir) {
            Ok(entries) => entries,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
            Err(error) => return Err(fail(error)),
        };
        let mut records = Vec::new();
        for entry in entries {
            let file = entry.map_err(fail)?.file_name();
            let name = file.to_str().and_then(|file| file.strip_suffix(ENDING));
            if let Some(Ok(Some(record))) = name.map(|name| Self::read(dir, name)) {
                records.push(record);
            }
        }
        records.sort_by(|one, other| one.name.cmp(&other.name));
        Ok(records)
    }

    /// Whether the process of the record still runs. A recycled process id does not count.
    pub fn is_alive(&self) -> bool {
        crate::process::Process::attach(self.pid).is_ok_and(|process| process.started() == self.started)
    }

    /// Where the record is.
    pub(crate) fn path(&self, dir: &SocketDir) -> PathBuf {
        dir.file(&self.name, ENDING)
    }

    /// Writes the record so that a reader sees all of it or none.
    pub(crate) fn write(&self, dir: &SocketDir) -> Result<PathBuf, Error> {
        let path = self.path(dir);
        let draft = dir.file(&self.name, ".json.new");
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
