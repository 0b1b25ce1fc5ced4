//! From a config to a running QEMU, or to an error that one can act on.

mod cause;
mod child;
mod descriptors;
mod failure;
mod firmware;
mod kept;
mod options;
mod places;
mod qemu;
mod start;
mod tap;

pub use cause::Cause;
pub use descriptors::{SecretCallback, SecretSource};
pub use failure::{LaunchFailure, Phase};
pub use firmware::with_firmware;
pub use options::LaunchOptions;
pub use qemu::Qemu;

use std::path::PathBuf;
use std::time::Duration;

use qemu_argv::{Endpoints, Plan, PlannedSocket, SocketRole, VmConfig};
use qmp_client::Session;
use qmp_proto::{Cont, QueryStatus};
use tokio::sync::OnceCell;

use crate::error::Error;
use crate::guest::Console;
use crate::instance::{Handle, Instance, Ownership};
use crate::runtime::{Plans, Record, make_private};
use crate::supervise::{Watched, watch_over};

use child::{ChildSpec, Tie};
use firmware::{Prepared, prepare};
use kept::Kept;
use places::Places;
use start::Start;

/// Launches a VM and returns when its guest runs.
pub(crate) async fn launch(
    config: &VmConfig,
    options: &LaunchOptions,
    ownership: Ownership,
) -> Result<Instance, Error> {
    options.tell(Phase::Prepare);
    let Places { name, dir, mut residue } = Places::claim(config, options)?;
    let qemu = Qemu::find(config).await?;
    let config = VmConfig { name: Some(name.clone()), ..config.clone() };
    let is_paused = config.paused;
    let endpoints = Endpoints { qmp_fd: Some(0), socket_dir: Some(dir.path().to_owned()) };
    let mut warnings: Vec<String> = qemu.warning.into_iter().collect();
    let kept = match ownership {
        Ownership::Detached => Some(Kept::open(&name, &config, options)?),
        _ => None,
    };
    let home = kept.as_ref().map_or(dir.path(), Kept::dir);
    let plan = {
        let complete = Box::pin(prepare(&config, &qemu.program, &qemu.target, home, &name));
        let Prepared { config: complete, copy } = complete.await?;
        residue.add(copy.filter(|_| kept.is_none()));
        let kept = kept.as_ref().filter(|_| options.earlier.is_none());
        let before = kept.and_then(|kept| kept.plan(&mut warnings));
        let earlier = options.earlier.as_ref().or(before.as_ref());
        qemu_argv::replan(&complete, &qemu.target, &endpoints, earlier)?
    };
    for socket in plan.sockets() {
        residue.add([socket.path.clone()]);
    }
    let tie = match ownership {
        Ownership::Detached => Tie::Detached { log: dir.file(&name, ".log") },
        _ => Tie::Parent,
    };
    if let Tie::Detached { log } = &tie {
        residue.add([log.clone()]);
    }
    let line = plan.command_line();
    let descriptors = descriptors::open(&line.fds, &config, options)?;
    let hidden = descriptors::hidden(options);
    let spec = ChildSpec { name: name.clone(), program: qemu.program, line, tie, hidden };
    options.tell(Phase::Spawn);
    let (mut start, monitor) = Start::spawn(spec, descriptors, residue, options.ready_within).await?;
    let record = Record {
        name: name.clone(),
        pid: start.process().pid(),
        started: start.process().started(),
        uuid: config.uuid.clone(),
        detached: ownership == Ownership::Detached,
        socket: socket_of(&plan, &SocketRole::Qmp).unwrap_or_else(|| dir.file(&name, ".sock")),
        files: start.files(),
        config,
        plan: plan.clone(),
    };
    let plans = Plans::recorded(&record);
    let socket = record.socket.clone();
    // While QEMU sets itself up, and so that a detached one is known even if this process is killed now.
    start.owns([record.write(&dir)?]);
    // The launch has one deadline of its own; the session's come after it.
    let after = options.ready_within.saturating_add(Duration::from_secs(10));
    let line_options = qmp_client::Options {
        greeting: after,
        ready: after,
        command: options.command_within,
        ..qmp_client::Options::default()
    };
    options.tell(Phase::Handshake);
    let handshake = Session::from_unix_stream(monitor, &line_options);
    let session = start.step(Phase::Handshake, handshake).await?;

    for PlannedSocket { path, .. } in plan.sockets() {
        if let Err(error) = make_private(path) {
            warnings.push(format!("cannot make {} private: {error}", path.display()));
        }
    }
    options.tell(Phase::Connect);
    let console = match socket_of(&plan, &SocketRole::Console(0)) {
        Some(socket) => {
            let connect = Console::connect(&socket, options.console_log.as_deref());
            Some(start.step(Phase::Connect, connect).await?)
        }
        None => None,
    };
    if let Some(kept) = kept {
        kept.write(&plan)?;
    }
    start.listen_to(console.clone());
    let events = session.events();
    let mut first = None;
    if !(options.paused || is_paused) {
        options.tell(Phase::Run);
        // In one go, so that the answer to the question costs no time of its own.
        let run = async {
            let (run, status) = tokio::join!(session.execute(Cont {}), session.execute(QueryStatus {}));
            run.map(|_| status.ok())
        };
        first = start.step(Phase::Run, run).await?;
    }
    let started = start.finish();
    let vm = Watched::new(session, Some(started.process), started.output, started.residue);
    if let Some(status) = first {
        vm.publish(status.status.into());
    }
    let watch = watch_over(vm.clone(), Some(started.watcher), events, Some(started.drain));
    let task = tokio::spawn(watch).abort_handle();
    let instance = Instance::new(Handle {
        name,
        ownership,
        vm,
        socket: Some(socket),
        agent: socket_of(&plan, &SocketRole::Agent),
        agent_line: tokio::sync::Mutex::default(),
        console: OnceCell::new_with(console),
        plans,
        warnings,
        task,
    });
    // A guest that has ended already is a success too: its exit reason tells.
    instance.vm().known().await;
    Ok(instance)
}

/// The path of a socket that the plan has.
pub(crate) fn socket_of(plan: &Plan, role: &SocketRole) -> Option<PathBuf> {
    plan.sockets().iter().find(|socket| socket.role == *role).map(|socket| socket.path.clone())
}
