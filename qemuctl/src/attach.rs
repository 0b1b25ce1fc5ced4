//! Handles on VMs that somebody else started.

use std::io;
use std::path::Path;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use qemu_argv::SocketRole;
use qemu_discovery::instances::{self, Address};
use qmp_client::{ClientError, Session};
use qmp_proto::QueryName;
use tokio::net::UnixStream;
use tokio::sync::OnceCell;

use crate::error::Error;
use crate::instance::{Handle, Instance, Ownership};
use crate::launch::socket_of;
use crate::process::{Process, Tail, Watcher};
use crate::runtime::{Plans, Record, Residue, SocketDir, default_socket_dir};
use crate::supervise::{Watched, watch_over};

impl Instance {
    /// Attaches to the QEMU that listens at `socket`. Dropping the handle never touches the VM.
    ///
    /// # Errors
    ///
    /// - [`Error::Busy`] if another client has the monitor (QEMU serves one at a time), or QEMU is stopped.
    /// - [`Error::Attach`] if nobody listens, or it is no QEMU.
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
        attach(socket, options, None).await
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
        match Record::read(dir, name)? {
            Some(record) if record.is_alive() => attach(&record.socket.clone(), &options, Some(record)).await,
            Some(_) => Err(Error::NotFound { name: name.to_owned() }),
            // Another launcher leaves no record, but its socket is in the same place.
            None => {
                let socket = dir.join(format!("{name}.sock"));
                if socket.exists() {
                    attach(&socket, &options, None).await
                } else {
                    Err(Error::NotFound { name: name.to_owned() })
                }
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
    let fail = |error: ClientError| match error {
        ClientError::Busy { .. } | ClientError::NoGreeting { .. } | ClientError::NotReady { .. } => {
            Error::Busy { socket: socket.clone() }
        }
        source => Error::Attach { socket: socket.clone(), source },
    };
    let connect = |source| fail(ClientError::Connect { path: socket.clone(), source });
    // Connecting to a Unix socket does not wait: a full queue is an error.
    let stream = UnixStream::connect(&socket).await.map_err(|error| match error.kind() {
        io::ErrorKind::WouldBlock => Error::Busy { socket: socket.clone() },
        _ => connect(error),
    })?;
    // Who called `listen`. None where that is hidden, as behind a container's wall.
    let process = getsockopt(&stream, PeerCredentials)
        .ok()
        .and_then(|peer| u32::try_from(peer.pid()).ok())
        .and_then(|pid| Process::attach(pid).ok());
    let stream = stream.into_std().map_err(connect)?;
    let session = Session::from_unix_stream(stream, options).await.map_err(fail)?;
    let events = session.events();
    let name = session.execute(QueryName {}).await?.name;
    let record = record.or_else(|| record_beside(&socket, process.as_deref()));
    let watcher = process.clone().map(Watcher::new).transpose().map_err(connect)?;
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

/// What is left of an attached VM when it ends, if its launcher is gone by then.
fn residue(record: Option<&Record>) -> Residue {
    let inherit = |record: &Record| {
        let dir = SocketDir::open(record.socket.parent()?).ok()?;
        Some(Residue::Inherited { dir, record: Box::new(record.clone()) })
    };
    record.and_then(inherit).unwrap_or_default()
}

/// The record that a launch left beside its socket, if it is of this process.
fn record_beside(socket: &Path, process: Option<&Process>) -> Option<Record> {
    let process = process?;
    let record = Record::read(socket.parent()?, &stem(socket)).ok()??;
    (record.pid == process.pid() && record.started == process.started()).then_some(record)
}

fn stem(socket: &Path) -> String {
    socket.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}
