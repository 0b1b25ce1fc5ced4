//! Ends a VM by its record, without its monitor.

use std::time::Duration;

use rustix::process::Signal;

use crate::error::Error;

use super::life::Life;
use super::{Record, Residue, SocketDir};

/// How long to wait for a killed process. The kernel may have to free gigabytes first.
const KILL_LIMIT: Duration = Duration::from_secs(10);

impl Record {
    /// Kills the VM, like a power cut, in any state, and removes its files. If it has already ended, only removes the
    /// files. Blocks for a moment.
    ///
    /// # Errors
    ///
    /// - [`Error::Unsupported`] if the process is not visible.
    /// - [`Error::Io`] if there is no permission to signal it.
    /// - [`Error::Timeout`] if it has not ended after 10 s.
    /// - As [`remove`](Self::remove).
    pub fn kill(&self) -> Result<(), Error> {
        match self.life() {
            Life::Gone => {}
            Life::OutOfSight => {
                return Err(Error::Unsupported {
                    action: "killing",
                    name: self.name.clone(),
                    reason: "its process is not visible here, for example from inside a container".to_owned(),
                });
            }
            Life::Process(process) => {
                process.signal(Signal::KILL).map_err(|source| Error::Io {
                    action: "kill the process of",
                    path: self.socket.clone(),
                    source,
                })?;
                if !process.wait_blocking(KILL_LIMIT) {
                    return Err(Error::Timeout {
                        action: "killing",
                        name: self.name.clone(),
                        after: KILL_LIMIT,
                    });
                }
            }
        }
        self.remove()
    }

    /// Removes the files of a VM that has ended. Does nothing if its launcher is running, which removes them itself.
    ///
    /// # Errors
    ///
    /// - [`Error::NameTaken`] if the VM is running.
    /// - [`Error::SocketDirUnsafe`] if other users can write to the directory.
    pub fn remove(&self) -> Result<(), Error> {
        if self.is_alive() {
            return Err(Error::NameTaken { name: self.name.clone(), by: format!("process {}", self.pid) });
        }
        let Some(dir) = self.socket.parent().map(SocketDir::find).transpose()?.flatten() else {
            return Ok(());
        };
        Residue::Inherited { dir, record: Box::new(self.clone()) }.remove();
        Ok(())
    }
}
