//! Machines that exist while they are off, each in a folder of its own.
//!
//! ```text
//! HOME/machines/NAME/machine.toml   the description, as its user wrote it; relative paths count from here
//!                    disks/         images that belong to the machine
//!                    plan.json      the places of its devices
//!                    vars.fd        UEFI's variables
//!                    run.json       how the last run began and ended
//!                    console.log    what the guest printed on its first serial port
//!                    events.jsonl   what happened, one JSON object a line
//!                    qemu.log       what QEMU printed in the last run
//!                    lock           held while a command changes the machine
//!                    keeper.lock    held by the process that runs the machine, whose id is in it
//! ```
//!
//! Folders are private (0700). Files are written beside their places, synced and renamed: whatever is interrupted leaves the
//! old one or the new one. Logs are cut at [`LOG_LIMIT`]; what was cut last stays in `….log.1`.
//!
//! ```no_run
//! # async fn example() -> Result<(), qemuctl::Error> {
//! use qemuctl::home::Home;
//! use qemuctl::{Disk, VmConfig};
//!
//! let home = Home::open()?;
//! let draft = home.draft("web")?;
//! // Images for it are made in `draft.disks()`.
//! draft.finish(&qemuctl::config::to_toml(&VmConfig { disks: vec![Disk::file("/vm/web.qcow2")], ..VmConfig::default() }))?;
//! for machine in home.machines()? {
//!     println!("{}: {:?}", machine.name(), machine.status()?.state());
//! }
//! # Ok(())
//! # }
//! ```

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
    /// The machine called `name`.
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidName`] if no machine can have it, [`Error::NoSuchMachine`] if none does.
    /// - [`Error::HomeUnsafe`] if others may write to its folder.
    pub fn machine(&self, name: &str) -> Result<StoredMachine, Error> {
        check_name(name)?;
        let missing = || Error::NoSuchMachine { name: name.to_owned(), home: self.path().to_owned() };
        let machine = StoredMachine::new(self.clone(), name);
        find_private(&self.folders())?.ok_or_else(missing)?;
        find_private(machine.folder())?.ok_or_else(missing)?;
        machine.config_path().symlink_metadata().map_err(|_| missing())?;
        Ok(machine)
    }

    /// Whether there is a machine called `name`; a name that none can have is none's.
    pub fn has(&self, name: &str) -> bool {
        self.machine(name).is_ok()
    }

    /// All machines, by name.
    ///
    /// # Errors
    ///
    /// [`Error::HomeUnsafe`] if others may write to the home, [`Error::Io`] if it cannot be read. A home that does not exist has
    /// none.
    pub fn machines(&self) -> Result<Vec<StoredMachine>, Error> {
        let folders = self.folders();
        if find_private(&folders)?.is_none() {
            return Ok(Vec::new());
        }
        let mut machines = Vec::new();
        for entry in std::fs::read_dir(&folders).map_err(io_error("list", &folders))? {
            let entry = entry.map_err(io_error("list", &folders))?;
            // One that is not safe to look at does not hide the others.
            if let Ok(name) = entry.file_name().into_string()
                && let Ok(machine) = self.machine(&name)
            {
                machines.push(machine);
            }
        }
        machines.sort_by(|one, other| one.name().cmp(other.name()));
        Ok(machines)
    }

    /// Begins a new machine. It exists when the draft is [finished](Draft::finish), whole; dropped before, it never did.
    ///
    /// # Errors
    ///
    /// - [`Error::InvalidName`], [`Error::MachineExists`].
    /// - [`Error::Io`] if nothing can be written there, [`Error::HomeUnsafe`].
    pub fn draft(&self, name: &str) -> Result<Draft, Error> {
        Draft::begin(self, name)
    }
}
