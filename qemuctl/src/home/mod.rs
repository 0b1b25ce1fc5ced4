//! Persistent machines, each in its own folder.
//!
//! ```text
//! HOME/machines/NAME/machine.toml   the config, as its user wrote it; paths are relative to this folder
//!                    disks/         images that belong to the machine
//!                    plan.json      the addresses of its devices
//!                    vars.fd        the UEFI variables
//!                    run.json       how the last run began and ended
//!                    console.log    the output of the first serial port
//!                    events.jsonl   events, one JSON object per line
//!                    qemu.log       QEMU's output of the last run
//!                    lock           held while a command changes the machine
//!                    keeper.lock    held by the process that runs the machine; contains its id
//! ```
//!
//! Folders are private (0700). Files are written under a temporary name, synced and renamed, so an interruption leaves
//! the old or the new content. Logs are truncated at [`LOG_LIMIT`]; the previous part is kept in `….log.1`.
//!
//! ```no_run
//! # async fn example() -> Result<(), qemuctl::Error> {
//! use qemuctl::home::Home;
//! use qemuctl::{config::Disk, VmConfig};
//!
//! let home = Home::open()?;
//! let draft = home.draft("web")?;
//! // Its images are created in `draft.disks()`.
//! draft.finish(&qemuctl::config::to_toml(&VmConfig { disks: vec![Disk::file("/vm/web.qcow2")], ..VmConfig::default() }))?;
//! for machine in home.machines()? {
//!     println!("{}: {:?}", machine.name(), machine.status()?.state());
//! }
//! # Ok(())
//! # }
//! ```

mod bases;
mod directory;
mod draft;
mod files;
mod growth;
mod hold;
mod log;
mod machine;
mod run;

pub use directory::Home;
pub use draft::Draft;
pub use growth::Growth;
pub use hold::Hold;
pub use log::LOG_LIMIT;
pub use machine::{MachineLock, StoredMachine};
pub use run::{LastRun, RunEnd, RunState, Status};

use crate::error::Error;
use crate::runtime::check_name;

use directory::find_private;
use files::io_error;

impl Home {
    /// Returns the machine called `name`.
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidName`] if the name is invalid, [`Error::NoSuchMachine`] if there is no such machine.
    /// - [`Error::HomeUnsafe`] if other users can write to its folder.
    pub fn machine(&self, name: &str) -> Result<StoredMachine, Error> {
        check_name(name)?;
        let missing = || Error::NoSuchMachine { name: name.to_owned(), home: self.path().to_owned() };
        let machine = StoredMachine::new(self.clone(), name);
        find_private(&self.folders())?.ok_or_else(missing)?;
        find_private(machine.folder())?.ok_or_else(missing)?;
        machine.config_path().symlink_metadata().map_err(|_| missing())?;
        Ok(machine)
    }

    /// Whether there is a machine called `name`; false for an invalid name.
    pub fn has(&self, name: &str) -> bool {
        self.machine(name).is_ok()
    }

    /// Returns all machines, sorted by name.
    ///
    /// # Errors
    ///
    /// [`Error::HomeUnsafe`] if other users can write to the home, [`Error::Io`] if it cannot be read. A home that does
    /// not exist has no machines.
    pub fn machines(&self) -> Result<Vec<StoredMachine>, Error> {
        let folders = self.folders();
        if find_private(&folders)?.is_none() {
            return Ok(Vec::new());
        }
        let mut machines = Vec::new();
        for entry in std::fs::read_dir(&folders).map_err(io_error("list", &folders))? {
            let entry = entry.map_err(io_error("list", &folders))?;
            // An unsafe folder does not hide the others.
            if let Ok(name) = entry.file_name().into_string()
                && let Ok(machine) = self.machine(&name)
            {
                machines.push(machine);
            }
        }
        machines.sort_by(|one, other| one.name().cmp(other.name()));
        Ok(machines)
    }

    /// Begins to create a machine. It exists once the draft is [finished](Draft::finish); dropping the draft removes
    /// everything.
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidName`], [`Error::MachineExists`].
    /// - [`Error::Io`] if the home cannot be written, [`Error::HomeUnsafe`].
    pub fn draft(&self, name: &str) -> Result<Draft, Error> {
        Draft::begin(self, name)
    }
}
