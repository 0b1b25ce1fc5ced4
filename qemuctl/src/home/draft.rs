//! A machine being created, in a temporary folder until it is complete.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use crate::error::Error;
use crate::runtime::check_name;

use super::directory::{Home, exists, hidden_folder, make_private, order, sweep};
use super::files::{Locked, io_error, sync_folder_of, try_lock, write_draft};
use super::machine::StoredMachine;

/// The errors of a rename whose target exists.
const TAKEN: [io::ErrorKind; 3] =
    [io::ErrorKind::DirectoryNotEmpty, io::ErrorKind::AlreadyExists, io::ErrorKind::NotADirectory];

/// A machine being created. Dropping it removes everything.
#[derive(Debug)]
pub struct Draft {
    home: Home,
    name: String,
    folder: PathBuf,
    /// Locked while the folder is in use.
    _lock: Locked,
}

impl Draft {
    pub(super) fn begin(home: &Home, name: &str) -> Result<Self, Error> {
        check_name(name)?;
        make_private(home.path())?;
        make_private(&home.folders())?;
        let order = order(home)?;
        sweep(home);
        let folder = hidden_folder(home, name)?;
        // Fail now rather than after its disks have been copied.
        if home.folders().join(name).symlink_metadata().is_ok() {
            return Err(exists(home, name));
        }
        make_private(&folder)?;
        let path = folder.join("lock");
        let lock = try_lock(&path).map_err(io_error("lock", &path))?;
        let lock = lock.ok_or_else(|| Error::MachineBusy { name: name.to_owned() })?;
        drop(order);
        let draft = Self { home: home.clone(), name: name.to_owned(), folder, _lock: lock };
        make_private(&draft.disks())?;
        Ok(draft)
    }

    /// Returns the name of the machine.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the temporary folder.
    pub fn folder(&self) -> &Path {
        &self.folder
    }

    /// Returns the folder for images. In the finished machine their paths are `disks/…`.
    pub fn disks(&self) -> PathBuf {
        self.folder.join("disks")
    }

    /// Turns it into a machine with the config `text` (TOML).
    ///
    /// # Errors
    ///
    /// - [`Error::Config`] if the config is invalid.
    /// - [`Error::MachineExists`] if a machine of that name was created in the meantime.
    /// - [`Error::Io`] if it cannot be written.
    pub fn finish(self, text: &str) -> Result<StoredMachine, Error> {
        let machine = StoredMachine::new(self.home.clone(), &self.name);
        machine.parse(text)?;
        let path = self.folder.join("machine.toml");
        write_draft(&path, text.as_bytes()).map_err(io_error("write", &path))?;
        sync_folder_of(&path).map_err(io_error("write", &path))?;
        let _order = order(&self.home)?;
        // A machine's folder is never empty, and a rename replaces only an empty folder.
        match fs::rename(&self.folder, machine.folder()) {
            Ok(()) => {}
            Err(error) if TAKEN.contains(&error.kind()) => return Err(exists(&self.home, &self.name)),
            Err(error) => return Err(io_error("write", machine.folder())(error)),
        }
        sync_folder_of(machine.folder()).map_err(io_error("write", machine.folder()))?;
        Ok(machine)
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        // After it is finished, nothing is left under this name. Errors are ignored; the next draft tries again.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_machine_is_there_when_it_is_whole_and_only_once() {
        let base = tempfile::tempdir().expect("a directory");
        let home = Home::at(base.path().join("home")).expect("a home");
        assert_eq!(home.machines().expect("no home, no machines").len(), 0);
        let (one, other) = (home.draft("web").expect("begun"), home.draft("web").expect("begun"));
        assert!(home.machines().expect("listed").is_empty());
        fs::write(one.disks().join("disk0.raw"), "data").expect("written");
        let machine = one.finish("memory = \"1GiB\"\n").expect("finished");
        assert_eq!(fs::read(machine.disks().join("disk0.raw")).expect("there"), b"data");
        let late = other.finish("").expect_err("an empty file is no machine");
        assert!(matches!(late, Error::Config(_)), "{late}");
        let refused = home.draft("web").expect_err("it exists").to_string();
        assert_eq!(refused, format!("a machine called web already exists in {}", home.path().display()));
        let names: Vec<_> = fs::read_dir(home.folders()).expect("readable").flatten().collect();
        assert_eq!(names.len(), 2, "{names:?}");
    }

    #[test]
    fn two_that_are_made_at_once_are_one() {
        let base = tempfile::tempdir().expect("a directory");
        let home = Home::at(base.path()).expect("a home");
        let (one, other) = (home.draft("web").expect("begun"), home.draft("web").expect("begun"));
        other.finish("cpu = 2\n").expect("the first to finish");
        let error = one.finish("cpu = 3\n").expect_err("the second");
        assert!(matches!(error, Error::MachineExists { .. }), "{error}");
        let kept = home.machine("web").expect("there").config().expect("valid");
        assert_eq!(kept.config().cpu.count, Some(2));
    }

    #[test]
    fn what_killed_commands_left_is_removed_and_what_is_worked_on_is_not() {
        let base = tempfile::tempdir().expect("a directory");
        let home = Home::at(base.path()).expect("a home");
        let working = home.draft("web").expect("begun");
        let left = home.folders().join(".db.vm-12345678");
        fs::create_dir_all(left.join("disks")).expect("made");
        fs::write(left.join("disks/disk0.qcow2"), "half a disk").expect("written");
        home.draft("db").expect("begun");
        assert!(!left.exists());
        working.finish("cpu = 1\n").expect("untouched");
    }
}
