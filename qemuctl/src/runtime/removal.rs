//! The end of a VM by its record alone, without its monitor.

use std::time::Duration;

use rustix::process::Signal;

use crate::error::Error;

use super::life::Life;
use super::{Record, Residue, SocketDir};

/// How long a killed process is waited for. The kernel may have gigabytes to free first.
const KILL_LIMIT: Duration = Duration::from_secs(10);

impl Record {
    /// Kills the VM, as a power cut would, whatever state it is in, and removes its files. Of one that has ended, only the
    /// files are removed. Blocks for the moment that takes.
    ///
    /// # Errors
    ///
    /// - [`Error::Unsupported`] if the process is not visible.
    /// - [`Error::Io`] if it may not be signalled.
    /// - [`Error::Timeout`] if it is still there after 10 s.
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

    /// Removes the files of a VM that has ended. If its launcher lives, that does so itself, and nothing is done here.
    ///
    /// # Errors
    ///
    /// - [`Error::NameTaken`] if the VM lives.
    /// - [`Error::SocketDirUnsafe`] if others may write to the directory.
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
