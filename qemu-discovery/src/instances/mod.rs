//! The running QEMUs of this host, whoever started them.
//!
//! Everything is read from `/proc`, without connecting to anything. Less is visible of other users' processes; nothing
//! is guessed, missing values are `None`, and [`RunningQemu::hidden`] says so.

mod cmdline;
mod monitors;
mod options;
mod procfs;
mod readconfig;
#[cfg(test)]
mod tests;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::SystemTime;

use qemu_argv::{Accelerator, Arch};
use serde::{Deserialize, Serialize};

pub use monitors::{Address, Monitor, Protocol};

use crate::{Obstacle, Places};

/// One life of one process: a pid is given out again, but never with the same start time.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ProcessId {
    /// The process id.
    pub pid: u32,
    /// When the process started, in the kernel's clock ticks since boot.
    pub start_ticks: u64,
}

/// A QEMU that runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct RunningQemu {
    /// The process.
    pub process: ProcessId,
    /// When it started, by the host's clock.
    pub started: Option<SystemTime>,
    /// The user it runs as.
    pub uid: u32,
    /// The program file; `None` where only its user may know.
    pub executable: Option<PathBuf>,
    /// The architecture of the guest, by the program's name.
    pub arch: Option<Arch>,
    /// The command line, program included. It may hold secrets that a careless launcher put there.
    pub argv: Vec<OsString>,
    /// The guest's name, as `-name` has it.
    pub name: Option<String>,
    /// The guest's UUID, as `-uuid` has it.
    pub uuid: Option<String>,
    /// What runs the guest: by the process's descriptors or threads, else by its command line.
    pub accelerator: Option<Accelerator>,
    /// The monitors, and sockets that may be monitors.
    pub monitors: Vec<Monitor>,
    /// Whether qemuctl started it: its first monitor came as standard input, its second bears its name.
    pub ours: bool,
    /// What of it is not the caller's to see, and why.
    pub hidden: Option<String>,
}

impl RunningQemu {
    /// The monitor to attach to: one that speaks QMP and listens on a socket.
    ///
    /// # Errors
    ///
    /// In words, what there is instead.
    pub fn attachable(&self) -> Result<&Monitor, Obstacle> {
        let qmp = |monitor: &&Monitor| monitor.protocol == Protocol::Qmp;
        if let Some(monitor) = self.monitors.iter().filter(qmp).find(|monitor| monitor.listens()) {
            return Ok(monitor);
        }
        let process = format!("QEMU process {}", self.process.pid);
        let restart = "start it with `-qmp unix:PATH,server=on,wait=off`";
        if let Some(monitor) = self.monitors.iter().find(qmp) {
            let why = format!(
                "{process} has a QMP monitor, but none that accepts connections: {}",
                monitor.address
            );
            return Err(Obstacle::new(why).remedy(restart));
        }
        let listening = |monitor: &&Monitor| monitor.listens() && monitor.protocol == Protocol::Unknown;
        let unknown: Vec<String> =
            self.monitors.iter().filter(listening).map(|monitor| monitor.address.to_string()).collect();
        if !unknown.is_empty() {
            let why = format!("{process} names no QMP monitor, but listens on {}", unknown.join(", "));
            return Err(Obstacle::new(why).remedy("attach to the one that is its monitor by its path"));
        }
        let mut obstacle = Obstacle::new(format!("{process} has no QMP monitor")).remedy(restart);
        if let Some(hidden) = &self.hidden {
            obstacle.why = format!("{}, as far as is visible: {hidden}", obstacle.why);
        }
        Err(obstacle)
    }
}

/// Every QEMU on this host that the caller may know of, by pid. Programs that merely have QEMU's name are told from it by
/// their file or by how they were called.
pub fn list() -> Vec<RunningQemu> {
    list_in(&Places::host())
}

/// [`list`] on a given host.
pub fn list_in(places: &Places) -> Vec<RunningQemu> {
    let mut pids: Vec<u32> = std::fs::read_dir(places.at("/proc"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().to_str()?.parse().ok())
        .collect();
    pids.sort_unstable();
    pids.into_iter().filter_map(|pid| find_in(places, pid)).collect()
}

/// The QEMU with this pid. `None`: there is no such process, or it is no QEMU.
pub fn find(pid: u32) -> Option<RunningQemu> {
    find_in(&Places::host(), pid)
}

/// [`find`] on a given host.
pub fn find_in(places: &Places, pid: u32) -> Option<RunningQemu> {
    let stat = procfs::stat(places, pid)?;
    let argv = procfs::cmdline(places, pid)?;
    let executable = procfs::executable(places, pid);
    let arch = executable
        .as_deref()
        .and_then(cmdline::qemu_arch)
        .or_else(|| cmdline::qemu_arch(argv.first()?.as_ref()))?;
    // The process may have been replaced while it was read: then what was read belongs to nobody.
    let process = ProcessId { pid, start_ticks: stat.start_ticks };
    let files = procfs::files(places, pid);
    let line = cmdline::CommandLine::read(places, pid, &argv);
    let monitors = monitors::find(places, pid, &line, files.as_ref().ok());
    let accelerator = procfs::accelerator(places, pid, files.as_ref().ok()).or_else(|| line.accelerator());
    if !is_running_in(places, process) {
        return None;
    }
    let name = line.name();
    Some(RunningQemu {
        process,
        started: procfs::started(places, stat.start_ticks),
        uid: stat.uid,
        executable,
        arch: arch.into(),
        uuid: line.uuid(),
        accelerator,
        ours: monitors::are_ours(&monitors, name.as_deref()),
        name,
        monitors,
        hidden: files.err().map(|error| format!("its file descriptors cannot be read ({error})")),
        argv,
    })
}

/// Whether this very process still runs: a process that has its pid now, but started at another time, is another one; one
/// that has ended and was not waited for counts as ended.
pub fn is_running(process: ProcessId) -> bool {
    is_running_in(&Places::host(), process)
}

/// [`is_running`] on a given host.
pub fn is_running_in(places: &Places, process: ProcessId) -> bool {
    procfs::stat(places, process.pid).is_some_and(|stat| stat.start_ticks == process.start_ticks)
}
