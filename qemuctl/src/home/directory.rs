//! The directory that machines are kept in, and what is done to the folders in it.

use std::fs;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::runtime::{SocketDir, default_home, random_name};

use super::files::{Locked, io_error, try_lock, wait_for};

/// How the folder of a draft, or of what is being removed, begins: names of machines do not.
const HIDDEN: &str = ".";

/// The directory that machines are kept in.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Home {
    path: PathBuf,
}

impl Home {
    /// The home of this user: `$QEMUCTL_HOME`, else `/var/lib/qemuctl` for root and `$XDG_DATA_HOME/qemuctl`
    /// (`~/.local/share/qemuctl`) for others. It need not exist yet.
    ///
    /// # Errors
    ///
    /// [`Error::NoHome`] if nothing says where it is.
    pub fn open() -> Result<Self, Error> {
        match std::env::var_os("QEMUCTL_HOME").filter(|path| !path.is_empty()) {
            Some(path) => Self::at(path),
            None => Self::at(default_home()?),
        }
    }

    /// The home at `path`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if `path` is relative and the working directory is gone.
    pub fn at(path: impl AsRef<Path>) -> Result<Self, Error> {
        let path = path.as_ref();
        Ok(Self { path: std::path::absolute(path).map_err(io_error("find", path))? })
    }

    /// Where it is.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// Where the folders of the machines are.
    pub(super) fn folders(&self) -> PathBuf {
        self.path.join("machines")
    }
}

/// Creates a private directory, or checks the one that is there.
pub(super) fn make_private(path: &Path) -> Result<SocketDir, Error> {
    SocketDir::open(path).map_err(as_home)
}

/// The private directory, if it is there.
pub(super) fn find_private(path: &Path) -> Result<Option<SocketDir>, Error> {
    SocketDir::find(path).map_err(as_home)
}

/// The same error in the words of the home.
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

/// A folder for what is not a machine yet, or not any more.
pub(super) fn hidden_folder(home: &Home, name: &str) -> Result<PathBuf, Error> {
    let random = random_name().map_err(io_error("read", Path::new("/proc/sys/kernel/random/uuid")))?;
    // A long name must not become too long a file name.
    let short: String = name.chars().take(40).collect();
    Ok(home.folders().join(format!("{HIDDEN}{short}.{random}")))
}

/// One at a time makes, renames or removes the folders of machines. That takes a moment.
pub(super) fn order(home: &Home) -> Result<Locked, Error> {
    let path = home.folders().join(".lock");
    wait_for(&path)?.ok_or_else(|| Error::MachineBusy { name: "the home".to_owned() })
}

/// Removes what commands left that were killed. Called by whoever has the [`order`].
pub(super) fn sweep(home: &Home) {
    let Ok(entries) = fs::read_dir(home.folders()) else { return };
    for entry in entries.flatten() {
        let name = entry.file_name();
        let is_folder = entry.file_type().is_ok_and(|kind| kind.is_dir());
        if is_folder
            && name.to_string_lossy().starts_with(HIDDEN)
            && let Ok(Some(lock)) = try_lock(&entry.path().join("lock"))
        {
            // What cannot be removed is tried again the next time.
            let _ = fs::remove_dir_all(entry.path());
            drop(lock);
        }
    }
}
