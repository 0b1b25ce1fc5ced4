//! Handles on VMs that somebody else started.

mod open;

use std::path::Path;
use std::sync::Arc;

use qemu_argv::SocketRole;
use qemu_discovery::instances::{self, Address};
use qmp_client::ClientError;
use tokio::sync::OnceCell;

use self::open::{Opened, failure, open, stem};
use crate::error::Error;
use crate::instance::{Handle, Instance, Ownership};
use crate::runtime::{Plans, Record, Residue, SocketDir, default_socket_dir, socket_of};
use crate::supervise::{Watched, watch_over};
use qemu_discovery::process::{Process, Tail, Watcher};

/// # Attaching
impl Instance {
    /// Attaches to the QEMU that listens at `socket`. Dropping the handle never touches the VM.
    ///
    /// A VM that was launched by this library serves 16 visitors at a time; attaching to it again and again is normal
    /// use. Another QEMU serves one client on each of its monitors.
    ///
    /// Whoever answers there may be something else than QEMU: a proxy, or a program that plays it. Only a process that
    /// is found to be a QEMU on this host has a [`pid`](Self::pid) and can be killed; without one, the connection's end
    /// counts as the VM's.
    ///
    /// # Errors
    ///
    /// - [`Error::Busy`] if other clients are using all of its monitors.
    /// - [`Error::Unresponsive`] if QEMU is stopped, or does not answer.
    /// - [`Error::Attach`] if nobody listens, or it does not speak QMP.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the connection is closed.
    pub async fn attach(socket: impl AsRef<Path>) -> Result<Self, Error> {
        Self::attach_with(socket.as_ref(), &qmp_client::Options::default()).await
    }

    /// Like [`attach`](Self::attach), with deadlines of your own.
    ///
    /// # Errors
    ///
    /// As [`attach`](Self::attach).
    pub async fn attach_with(socket: &Path, options: &qmp_client::Options) -> Result<Self, Error> {
        Box::pin(attach(socket, options, None)).await
    }

    /// Attaches to the QEMU with the process id `pid`, through the first monitor that it listens at.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if that is no QEMU, [`Error::Unsupported`] if it has no monitor that can be attached to,
    /// else as [`attach`](Self::attach).
    pub async fn attach_pid(pid: u32) -> Result<Self, Error> {
        let missing = || Error::NotFound { name: format!("process {pid}") };
        // The whole of /proc is not read, but what is read blocks.
        let found = tokio::task::spawn_blocking(move || instances::find(pid)).await;
        let qemu = found.ok().flatten().ok_or_else(missing)?;
        let refuse = |reason: String| Error::Unsupported {
            action: "attaching",
            name: format!("process {pid}"),
            reason,
        };
        let monitor = qemu.attachable().map_err(|obstacle| refuse(obstacle.to_string()))?;
        let Address::Unix(socket) = &monitor.address else {
            return Err(refuse(format!("its monitor is no Unix socket but {}", monitor.address)));
        };
        let vm = Self::attach(socket).await?;
        match vm.pid() {
            Some(found) if found != pid => {
                Err(refuse(format!("process {found} listens at its monitor's path")))
            }
            _ => Ok(vm),
        }
    }

    /// Attaches to the VM called `name` that was launched with the default socket directory.
    ///
    /// # Errors
    ///
    /// [`Error::NotFound`] if no VM of that name runs, else as [`attach`](Self::attach).
    pub async fn attach_name(name: &str) -> Result<Self, Error> {
        Self::attach_name_in(&default_socket_dir()?, name).await
    }

    /// Attaches to the VM called `name` that was launched with its sockets in `dir`.
    ///
    /// # Errors
    ///
    /// As [`attach_name`](Self::attach_name).
    pub async fn attach_name_in(dir: &Path, name: &str) -> Result<Self, Error> {
        let options = qmp_client::Options::default();
        let missing = || Error::NotFound { name: name.to_owned() };
        let Some(place) = SocketDir::find(dir)? else { return Err(missing()) };
        match Record::read_in(&place, name)? {
            Some(record) if record.is_alive() => {
                match Box::pin(attach(&record.socket.clone(), &options, Some(record.clone()))).await {
                    // It has ended just now.
                    Err(Error::Attach { .. }) if !record.is_alive() => Err(missing()),
                    attached => attached,
                }
            }
            Some(_) => Err(missing()),
            // Another launcher leaves no record, but its socket is in the same place.
            None => {
                let socket = place.file(name, ".sock");
                if socket.exists() { Box::pin(attach(&socket, &options, None)).await } else { Err(missing()) }
            }
        }
    }
}

async fn attach(
    socket: &Path,
    options: &qmp_client::Options,
    record: Option<Record>,
) -> Result<Instance, Error> {
    let socket = std::path::absolute(socket).unwrap_or_else(|_| socket.to_owned());
    let Opened { session, peer, events, name } = open(&socket, options, record.as_ref()).await?;
    let fail = |source| failure(&socket, peer, source);
    let broken = |source| fail(ClientError::Connect { path: socket.clone(), source });
    let process = match peer {
        Some(pid) => qemu_process(pid, record.as_ref()).await,
        None => None,
    };
    // Whoever listens now may be another one than the record is of.
    let record = match process.as_deref() {
        Some(process) => {
            record.filter(|record| record.is_of(process)).or_else(|| record_beside(&socket, process))
        }
        None => record,
    };
    let watcher = process.clone().map(Watcher::new).transpose().map_err(broken)?;
    let vm = Watched::new(session, process, Tail::default(), residue(record.as_ref()));
    vm.refresh().await.map_err(fail)?;
    let task = tokio::spawn(watch_over(vm.clone(), watcher, events, None)).abort_handle();
    let plans = record.as_ref().map(Plans::recorded).unwrap_or_default();
    let plan = plans.now();
    Ok(Instance::new(Handle {
        name: name.unwrap_or_else(|| stem(&socket)),
        ownership: Ownership::Attached,
        vm,
        agent: plan.as_ref().and_then(|plan| socket_of(plan, &SocketRole::Agent)),
        agent_line: tokio::sync::Mutex::default(),
        console: OnceCell::new(),
        plans,
        socket: Some(socket),
        warnings: Vec::new(),
        task,
    }))
}

/// The process at the other end, if it is a QEMU: the one that the launcher wrote down, or one that looks like it. A
/// proxy is none, and must not be killed in QEMU's place.
async fn qemu_process(pid: u32, record: Option<&Record>) -> Option<Arc<Process>> {
    let process = Process::attach(pid).ok()?;
    if record.is_some_and(|record| (record.pid, record.started) == (pid, process.started())) {
        return Some(process);
    }
    // The whole of /proc is not read, but what is read blocks.
    let found = tokio::task::spawn_blocking(move || instances::find(pid)).await.ok().flatten()?;
    (found.process.start_ticks == process.started()).then_some(process)
}

/// What is left of an attached VM when it ends, if its launcher is gone by then.
fn residue(record: Option<&Record>) -> Residue {
    let inherit = |record: &Record| {
        let dir = SocketDir::find(record.socket.parent()?).ok()??;
        Some(Residue::Inherited { dir, record: Box::new(record.clone()) })
    };
    record.and_then(inherit).unwrap_or_default()
}

/// The record that a launch left beside its socket, if it is of this process.
fn record_beside(socket: &Path, process: &Process) -> Option<Record> {
    let record = Record::read(socket.parent()?, &stem(socket)).ok()??;
    record.is_of(process).then_some(record)
}
