//! A persistent machine: its folder, and the operations on it.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config::{ConfigError, ConfigFile};
use crate::error::Error;
use crate::runtime::{check_name, read_regular};
use crate::saved::SavedState;
use qemu_discovery::process::{Process, Watcher};

use super::bases;
use super::directory::{Home, exists, hidden_folder, make_private, order, sweep};
use super::files::{Locked, io_error, is_locked, replace, sync_folder_of, wait_for, write_whole};
use super::growth::Growth;
use super::log::cut;
use super::run::{LastRun, Status};

/// A handle to a persistent machine. The machine may have been removed or replaced by the time it is used.
#[derive(Clone, Debug)]
pub struct StoredMachine {
    home: Home,
    name: String,
    folder: PathBuf,
}

/// A lock: no other command changes the machine while this is held.
#[derive(Debug)]
pub struct MachineLock {
    _file: Locked,
}

impl StoredMachine {
    pub(super) fn new(home: Home, name: &str) -> Self {
        Self { folder: home.folders().join(name), name: name.to_owned(), home }
    }

    /// Returns its name, which is also that of its VM.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns its home.
    pub fn home(&self) -> &Home {
        &self.home
    }

    /// Returns its folder, which paths in its config are relative to.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the path of its config.
    pub fn config_path(&self) -> PathBuf {
        self.folder.join("machine.toml")
    }

    /// Returns the folder of its images.
    pub fn disks(&self) -> PathBuf {
        self.folder.join("disks")
    }

    /// Returns the path of one of its files, such as `console.log`.
    pub fn file(&self, name: &str) -> PathBuf {
        self.folder.join(name)
    }

    /// Returns the path of the state in which it goes on at its next start, if there is a file.
    pub fn saved_path(&self) -> PathBuf {
        self.file("saved.state")
    }

    /// Reads the state in which it goes on at its next start.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be read, or is not whole.
    pub fn saved(&self) -> Result<Option<SavedState>, Error> {
        let path = self.saved_path();
        if path.symlink_metadata().is_err() {
            return Ok(None);
        }
        SavedState::open(path).map(Some)
    }

    /// Removes the saved state, so that the machine boots at its next start. Returns whether there was one.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be removed.
    pub fn discard_saved(&self) -> Result<bool, Error> {
        let path = self.saved_path();
        match fs::remove_file(&path) {
            Ok(()) => Ok(true),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
            Err(error) => Err(io_error("remove", &path)(error)),
        }
    }

    /// Reads its config, in which the name is set to the machine's.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with all problems; [`Error::NoSuchMachine`] if it is gone.
    pub fn config(&self) -> Result<ConfigFile, Error> {
        if self.config_path().symlink_metadata().is_err() {
            return Err(self.missing());
        }
        named(ConfigFile::read(self.config_path())?)
    }

    /// Parses a text as if it were its config.
    ///
    /// # Errors
    ///
    /// [`Error::Config`] with all problems.
    pub fn parse(&self, text: &str) -> Result<ConfigFile, Error> {
        named(ConfigFile::parse(self.config_path(), text.to_owned())?)
    }

    /// Locks the machine against changes, waiting some seconds for other commands.
    ///
    /// # Errors
    ///
    /// - [`Error::MachineBusy`] if another command takes longer.
    /// - [`Error::NoSuchMachine`] if it is gone, [`Error::Io`] if its folder cannot be written.
    pub fn lock(&self) -> Result<MachineLock, Error> {
        match wait_for(&self.file("lock")) {
            Ok(Some(file)) => Ok(MachineLock { _file: file }),
            Ok(None) => Err(Error::MachineBusy { name: self.name.clone() }),
            Err(error) => Err(self.or_missing(error)),
        }
    }

    /// Replaces its config. Takes effect at the next start.
    ///
    /// # Errors
    ///
    /// - [`Error::Config`] if the text is invalid; the old config is kept.
    /// - [`Error::Io`] if it cannot be written.
    pub fn write(&self, _lock: &MachineLock, text: &str) -> Result<(), Error> {
        self.parse(text)?;
        let path = self.config_path();
        write_whole(&path, text.as_bytes()).map_err(io_error("write", &path))
    }

    /// Returns the process that runs it.
    pub(super) fn keeper(&self) -> Result<Option<u32>, Error> {
        let path = self.file("keeper.lock");
        if !is_locked(&path).map_err(io_error("look at", &path))? {
            return Ok(None);
        }
        // A process that has just taken the lock may not have written its id yet.
        Ok(Some(read_regular(&path).ok().and_then(|text| text.trim().parse().ok()).unwrap_or(0)))
    }

    /// Returns the path of the record of its last run.
    pub(super) fn run_path(&self) -> PathBuf {
        self.file("run.json")
    }

    /// Returns its state, and how its last run ended.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if its files cannot be read.
    pub fn status(&self) -> Result<Status, Error> {
        // In this order, since a process that starts it becomes its keeper before it records a run.
        let run = LastRun::read(&self.run_path())?;
        let keeper = self.keeper()?;
        let saved = self.saved_path().symlink_metadata().is_ok();
        Ok(Status::new(&self.name, run, keeper, saved))
    }

    /// Sets whether the machine stays down after its VM ends, regardless of its restart policy.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if this cannot be recorded.
    pub fn stay_down(&self, whether: bool) -> Result<(), Error> {
        let path = self.file("stay-down");
        let done = if whether { write_whole(&path, b"") } else { fs::remove_file(&path) };
        match done {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
            done => done.map_err(io_error("write", &path)),
        }
    }

    /// Whether it stays down after its VM ends.
    pub(super) fn is_to_stay_down(&self) -> bool {
        self.file("stay-down").symlink_metadata().is_ok()
    }

    /// Watches its files from now on.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if the kernel cannot watch them.
    pub fn watch(&self) -> Result<Growth, Error> {
        Growth::of(&self.folder).map_err(io_error("watch", &self.folder))
    }

    /// Truncates the logs that QEMU writes, if they have become too long.
    pub fn cut_logs(&self) {
        for name in ["console.log", "qemu.log"] {
            // On failure, it is tried again when the log has grown.
            let _ = cut(&self.file(name));
        }
    }

    /// Waits until it has no keeper any more. Returns whether that happened in time.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if its files cannot be read.
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn settled(&self, timeout: Duration) -> Result<bool, Error> {
        let growth = self.watch()?;
        let settled = async {
            while let Some(pid) = self.keeper()? {
                match Process::attach(pid).and_then(Watcher::new) {
                    Ok(process) => drop(process.ended().await),
                    // It has ended in the meantime.
                    Err(_) if self.keeper()?.is_none() => break,
                    // It has not written its id yet.
                    Err(_) => {
                        growth.of_files(&["keeper.lock"]).await.map_err(io_error("watch", &self.folder))?;
                    }
                }
            }
            Ok(true)
        };
        tokio::time::timeout(timeout, settled).await.unwrap_or(Ok(false))
    }

    /// Asks its keeper to end, which shuts a running VM down and does not restart it.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if there is no permission to signal it. It is not an error if it has ended.
    pub fn dismiss_keeper(&self) -> Result<(), Error> {
        let Some(pid) = self.keeper()?.filter(|&pid| pid != 0) else { return Ok(()) };
        let Ok(keeper) = Process::attach(pid) else { return Ok(()) };
        // Checked again, because the id may have been reused before the process was opened.
        if self.keeper()? != Some(pid) {
            return Ok(());
        }
        keeper.signal(rustix::process::Signal::TERM).map_err(io_error("end the keeper of", &self.folder))
    }

    /// Renames it. It must be stopped.
    ///
    /// # Errors
    ///
    /// - [`Error::MachineRuns`], [`Error::MachineBusy`], [`Error::MachineExists`], [`Error::InvalidName`].
    /// - [`Error::Io`] if it cannot be renamed.
    pub fn rename(&self, new: &str) -> Result<Self, Error> {
        check_name(new)?;
        let _lock = self.lock()?;
        let _hold = self.hold()?;
        let _order = order(&self.home)?;
        let renamed = Self::new(self.home.clone(), new);
        if renamed.folder.symlink_metadata().is_ok() {
            return Err(exists(&self.home, new));
        }
        fs::rename(&self.folder, &renamed.folder)
            .and_then(|()| sync_folder_of(&renamed.folder))
            .map_err(io_error("rename", &self.folder))?;
        Ok(renamed)
    }

    /// Removes it together with its images. With `keep_disks`, they are moved to `disks/NAME` in the home, whose path
    /// is returned.
    ///
    /// # Errors
    ///
    /// - [`Error::MachineRuns`], [`Error::MachineBusy`].
    /// - [`Error::Io`] if it cannot be removed.
    pub fn remove(&self, keep_disks: bool) -> Result<Option<PathBuf>, Error> {
        let _lock = self.lock()?;
        let _hold = self.hold()?;
        let _order = order(&self.home)?;
        let kept = if keep_disks { self.move_disks()? } else { None };
        let hidden = hidden_folder(&self.home, &self.name)?;
        fs::rename(&self.folder, &hidden)
            .and_then(|()| sync_folder_of(&hidden))
            .map_err(io_error("remove", &self.folder))?;
        fs::remove_dir_all(&hidden).map_err(io_error("remove", &hidden))?;
        sweep(&self.home);
        bases::sweep(&self.home);
        Ok(kept)
    }

    /// Moves its images out of its folder. If that is interrupted, they are in one of the two places.
    fn move_disks(&self) -> Result<Option<PathBuf>, Error> {
        let is_empty = |path: &Path| fs::read_dir(path).map_or(true, |mut entries| entries.next().is_none());
        if is_empty(&self.disks()) {
            return Ok(None);
        }
        let kept = self.home.path().join("disks");
        make_private(&kept)?;
        let number = |number: u32| match number {
            1 => kept.join(&self.name),
            number => kept.join(format!("{}.{number}", self.name)),
        };
        let free = (1..u32::MAX).map(number).find(|path| path.symlink_metadata().is_err());
        let Some(free) = free else { return Ok(None) };
        replace(&self.disks(), &free).map_err(io_error("move", &self.disks()))?;
        Ok(Some(free))
    }

    pub(super) fn runs(&self, by: Option<u32>) -> Error {
        let by = by.filter(|&pid| pid != 0).map(|pid| format!(" (process {pid})")).unwrap_or_default();
        Error::MachineRuns { name: self.name.clone(), by }
    }

    pub(super) fn missing(&self) -> Error {
        Error::NoSuchMachine { name: self.name.clone(), home: self.home.path().to_owned() }
    }

    pub(super) fn or_missing(&self, error: Error) -> Error {
        match error {
            Error::Io { source, .. } if source.kind() == io::ErrorKind::NotFound => self.missing(),
            error => error,
        }
    }
}

/// Rejects a config that contains a name, which would be wrong after the machine was renamed or copied.
fn named(file: ConfigFile) -> Result<ConfigFile, Error> {
    if file.config().name.is_none() {
        return Ok(file);
    }
    let message = "a machine's name is that of its folder".to_owned();
    let help = "remove this line; `qemuctl rename` gives a machine another name".to_owned();
    let faults = vec![file.fault("name", message, Some(help))];
    Err(ConfigError::Invalid { faults }.into())
}
