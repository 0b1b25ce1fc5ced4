//! The home: the directory of the machines, and operations on their folders.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::runtime::{SocketDir, default_home, random_name};

use super::files::{Locked, io_error, try_lock, wait_for};

/// The prefix of folders of drafts and of machines being removed. Machine names cannot start like that.
const HIDDEN: &str = ".";

/// The directory of the machines.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    path: PathBuf,
}

impl Home {
    /// Returns the home of this user: `$QEMUCTL_HOME`, or else `/var/lib/qemuctl` for root and `$XDG_DATA_HOME/qemuctl`
    /// (`~/.local/share/qemuctl`) for other users. It does not have to exist yet.
    ///
    /// # Errors
    ///
    /// [`Error::NoHome`] if it cannot be determined.
    pub fn open() -> Result<Self, Error> {
        match std::env::var_os("QEMUCTL_HOME").filter(|path| !path.is_empty()) {
            Some(path) => Self::at(path),
            None => Self::at(default_home()?),
        }
    }

    /// Returns the home at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if `path` is relative and the working directory was removed.
    pub fn at(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Ok(Self { path: std::path::absolute(path).map_err(io_error("find", path))? })
    }

    /// Returns its path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Returns the directory of the machines' folders.
    pub(super) fn folders(&self) -> PathBuf {
        self.path.join("machines")
    }
}

/// Creates a private directory, or checks an existing one.
pub(super) fn make_private(path: &Path) -> Result<SocketDir, Error> {
    SocketDir::open(path).map_err(as_home)
}

/// Opens the private directory, if it exists.
pub(super) fn find_private(path: &Path) -> Result<Option<SocketDir>, Error> {
    SocketDir::find(path).map_err(as_home)
}

/// Adapts an error of the socket directory to the home.
fn as_home(error: Error) -> Error {
    match error {
        Error::SocketDirUnsafe { path, reason } => Error::HomeUnsafe { path, reason },
        Error::Io { path, source, action } => Error::Io {
            action: if action.starts_with("create") { "create the directory" } else { "open the directory" },
            path,
            source,
        },
        error => error,
    }
}

pub(super) fn exists(home: &Home, name: &str) -> Error {
    Error::MachineExists { name: name.to_owned(), home: home.path().to_owned() }
}

/// Returns a folder for a draft, or for a machine being removed.
pub(super) fn hidden_folder(home: &Home, name: &str) -> Result<PathBuf, Error> {
    let random = random_name().map_err(io_error("read", Path::new("/proc/sys/kernel/random/uuid")))?;
    // A long name must not result in a file name that is too long.
    let short: String = name.chars().take(40).collect();
    Ok(home.folders().join(format!("{HIDDEN}{short}.{random}")))
}

/// Locks the creation, renaming and removal of machines' folders, which take only a moment.
pub(super) fn order(home: &Home) -> Result<Locked, Error> {
    let path = home.folders().join(".lock");
    wait_for(&path)?.ok_or_else(|| Error::MachineBusy { name: "the home".to_owned() })
}

/// Removes leftovers of killed commands. The caller must hold the [`order`].
pub(super) fn sweep(home: &Home) {
    let Ok(entries) = fs::read_dir(home.folders()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder
            && name.to_string_lossy().starts_with(HIDDEN)
            && let Ok(Some(lock)) = try_lock(&entry.path().join("lock"))
        {
            // Errors are ignored; it is tried again the next time.
            let _ = fs::remove_dir_all(entry.path());
            drop(lock);
        }
    }
}
