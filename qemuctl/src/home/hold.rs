//! The files that the process that runs a machine writes.

use std::fs::OpenOptions;
use std::io::{self, Seek, Write};
use std::path::Path;

use qemu_argv::{CharBackend, VmConfig};
use serde_json::{Value, json};

use crate::error::Error;
use crate::launch::LaunchOptions;
use crate::runtime::{Record, open_regular};
use crate::supervise::Exit;

use super::files::{Locked, beside, io_error, replace, try_lock, write_draft, write_whole};
use super::log::EventLog;
use super::machine::StoredMachine;
use super::run::{LastRun, RunEnd, now_ms};

/// Bytes reserved on the disk when a run begins, so that its end can be recorded even if the disk is full.
const ROOM: usize = 4096;

impl StoredMachine {
    /// Takes the exclusive right to run the machine, while the result is held.
    ///
    /// # Errors
    ///
    /// - [`Error::MachineRuns`] if it is running or about to run.
    /// - [`Error::NoSuchMachine`], [`Error::Io`].
    pub fn hold(&self) -> Result<Hold, Error> {
        let hold = self.hold_in_any_case()?;
        match self.status()?.record() {
            Some(record) => Err(self.runs(Some(record.pid))),
            None => Ok(hold),
        }
    }

    /// Takes over a running machine whose keeper was killed.
    ///
    /// # Errors
    ///
    /// - [`Error::MachineRuns`] if it has a keeper, [`Error::NotFound`] if it is not running.
    /// - [`Error::NoSuchMachine`], [`Error::Io`].
    pub fn adopt(&self) -> Result<(Hold, Record), Error> {
        let hold = self.hold_in_any_case()?;
        match self.status()?.record() {
            Some(record) => Ok((hold, record.clone())),
            None => Err(Error::NotFound { name: self.name().to_owned() }),
        }
    }

    fn hold_in_any_case(&self) -> Result<Hold, Error> {
        let path = self.file("keeper.lock");
        let lock =
            try_lock(&path).map_err(io_error("lock", &path)).map_err(|error| self.or_missing(error))?;
        match lock {
            Some(lock) => Hold::new(self.clone(), lock),
            None => Err(self.runs(self.keeper()?)),
        }
    }
}

/// The exclusive right to run a machine. Dropping it releases the machine; a VM that outlives this process keeps
/// running.
#[derive(Debug)]
pub struct Hold {
    machine: StoredMachine,
    events: EventLog,
    run: Option<LastRun>,
    _lock: Locked,
}

impl Hold {
    fn new(machine: StoredMachine, mut lock: Locked) -> Result<Self, Error> {
        let path = machine.file("keeper.lock");
        // The process id is for people and for `stop`; the lock itself shows whether the process exists.
        let sign = |lock: &mut Locked| {
            lock.file.rewind()?;
            lock.file.set_len(0)?;
            writeln!(lock.file, "{}", std::process::id())
        };
        sign(&mut lock).map_err(io_error("write", &path))?;
        let events = EventLog::new(machine.file("events.jsonl"));
        let run = LastRun::read(&machine.run_path())?;
        Ok(Self { machine, events, run, _lock: lock })
    }

    /// Returns the machine.
    pub fn machine(&self) -> &StoredMachine {
        &self.machine
    }

    /// Adapts launch options to the machine: its plan, firmware variables and logs are in its folder, and it goes on where
    /// it was saved.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if its saved state cannot be read.
    pub fn prepare(&self, config: &mut VmConfig, options: &mut LaunchOptions) -> Result<(), Error> {
        options.resume = self.machine.saved()?;
        config.name = Some(self.machine.name().to_owned());
        options.keep_dir = Some(self.machine.folder().to_owned());
        options.config_file = Some(self.machine.config_path());
        // Written by QEMU, so that nothing is missed if this process is killed.
        if let Some(first) = config.serials.first_mut()
            && first.backend == CharBackend::Launcher
            && first.chardev.is_none()
            && first.log.is_none()
        {
            first.log = Some(self.machine.file("console.log"));
        }
        Ok(())
    }

    /// Records the beginning of a run, with its sockets in `socket_dir`.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be written; then nothing should be started, since it could not be found again.
    pub fn begin(&mut self, socket_dir: &Path) -> Result<(), Error> {
        self.machine.stay_down(false)?;
        let run = LastRun::now(socket_dir.to_owned());
        let path = self.machine.run_path();
        write_whole(&path, &text(&run)).map_err(io_error("write", &path))?;
        self.run = Some(run);
        self.event("STARTING", &json!({}));
        Ok(())
    }

    /// Records QEMU's process id.
    pub fn started(&mut self, pid: Option<u32>) {
        let path = self.machine.run_path();
        let Some(run) = &mut self.run else { return };
        run.pid = pid;
        // It has gone on from there. If it stays, the next start finds that the disks have changed.
        let _ = self.machine.discard_saved();
        // On failure, the record in the socket directory has the same information.
        let _ = write_whole(&path, &text(run));
        let _ = write_draft(&beside(&path), &[b' '; ROOM]);
        self.event("STARTED", &json!({ "pid": pid }));
    }

    /// Records how the VM ended.
    ///
    /// # Errors
    ///
    /// [`Error::Io`] if it cannot be written. A full disk is not a problem.
    pub fn ended(&mut self, exit: &Exit) -> Result<(), Error> {
        let data = json!({ "reason": exit.reason.to_string(), "process": exit.process.to_string() });
        self.event("ENDED", &data);
        self.end(RunEnd::Ended { reason: exit.reason.clone(), process: exit.process })
    }

    /// Records that the VM did not start.
    ///
    /// # Errors
    ///
    /// As [`ended`](Self::ended).
    pub fn failed(&mut self, message: &str) -> Result<(), Error> {
        self.event("FAILED", &json!({ "message": message }));
        self.end(RunEnd::Failed { message: message.to_owned() })
    }

    fn end(&mut self, end: RunEnd) -> Result<(), Error> {
        let path = self.machine.run_path();
        let Some(run) = &mut self.run else { return Ok(()) };
        run.ended_ms = Some(now_ms());
        run.end = Some(end);
        let text = text(run);
        write_into_room(&path, &text).or_else(|_| write_whole(&path, &text)).map_err(io_error("write", &path))
    }

    /// Adds an event of the keeper to `events.jsonl`. Write errors are ignored.
    pub fn event(&mut self, name: &str, data: &Value) {
        let ms = now_ms();
        let stamp = json!({ "seconds": ms / 1000, "microseconds": ms % 1000 * 1000 });
        self.write_event(&json!({ "event": format!("QEMUCTL_{name}"), "data": data, "timestamp": stamp }));
    }

    /// Adds an event of QEMU to `events.jsonl`. Write errors are ignored.
    pub fn write_event(&mut self, event: &Value) {
        self.events.write(event);
    }

    /// Whether the machine was stopped by a command and must not be restarted.
    pub fn is_to_stay_down(&self) -> bool {
        self.machine.is_to_stay_down()
    }
}

fn text(run: &LastRun) -> Vec<u8> {
    let mut text = serde_json::to_vec_pretty(run).unwrap_or_default();
    text.push(b'\n');
    text
}

/// Writes into the space that was reserved when the run began.
fn write_into_room(path: &Path, text: &[u8]) -> io::Result<()> {
    let room = beside(path);
    let mut file = open_regular(&room, OpenOptions::new().write(true))?;
    if file.metadata()?.len() < text.len() as u64 {
        return Err(io::ErrorKind::FileTooLarge.into());
    }
    file.write_all(text)?;
    // The rest of the reserved space is filled with spaces, which JSON ignores.
    file.sync_all()?;
    replace(&room, path)
}
