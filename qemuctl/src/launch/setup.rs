//! Everything that a launch needs before there is a process: a name and a directory, a QEMU, the plan, files and descriptors.

use std::path::Path;

use qemu_argv::{Endpoints, Plan, SocketRole, VmConfig};

use crate::channel::{lock_file, make_lock_file};
use crate::error::Error;
use crate::instance::Ownership;
use crate::runtime::{LOCK, Record, Residue, SocketDir, SshLogin, bind_socket, socket_of};
use crate::saved::SavedState;
use qemu_discovery::process::FdMapping;

use super::child::{self, ChildSpec, Tie};
use super::firmware::{Completed, complete};
use super::kept::Kept;
use super::places::Places;
#[cfg(feature = "provision")]
use super::provision;
use super::qemu::Qemu;
use super::start::Claim;
use super::{LaunchOptions, descriptors, monitors, passt};

/// What is ready to be started.
pub(super) struct Setup {
    /// The directory of the VM's sockets and its record.
    pub(super) dir: SocketDir,
    pub(super) spec: ChildSpec,
    pub(super) descriptors: Vec<FdMapping>,
    pub(super) claim: Claim,
    /// Not written yet, and without a process.
    pub(super) record: Record,
    /// Where a detached VM keeps its plan.
    pub(super) kept: Option<Kept>,
    pub(super) warnings: Vec<String>,
}

pub(super) async fn set_up(
    config: &VmConfig,
    options: &LaunchOptions,
    ownership: Ownership,
) -> Result<Setup, Error> {
    let Places { name, dir, residue } = Places::claim(config, options)?;
    let mut claim = Claim::new(residue);
    let qemu = Qemu::find(config).await?;
    let config = VmConfig { name: Some(name.clone()), ..config.clone() };
    let mut warnings = Vec::from_iter(qemu.warning.clone());
    let (provided, ssh) = provide(&name, &config, &dir, &mut claim.residue, options, &mut warnings).await?;
    let kept = match ownership {
        Ownership::Detached => Some(Kept::open(&name, &config, options)?),
        _ if options.keep_dir.is_some() => Some(Kept::open(&name, &config, options)?),
        _ => None,
    };

    let vars = kept.as_ref().map_or_else(|| dir.file(&name, ".vars"), Kept::vars);
    let Completed { config: complete, copy } =
        Box::pin(complete(&provided, &qemu.program, &qemu.target, &vars)).await?;
    // What is kept outlives the VM.
    claim.residue.add(copy.filter(|_| kept.is_none()));
    let given = options.resume.as_ref().map(SavedState::plan).or(options.earlier.as_ref());
    let before = match given {
        Some(_) => None,
        None => kept.as_ref().and_then(|kept| kept.plan(&mut warnings)),
    };
    let complete = VmConfig { incoming: complete.incoming || options.resume.is_some(), ..complete };
    let plan = plan(&complete, &qemu, dir.path(), given.or(before.as_ref()))?;
    if let Some(saved) = &options.resume
        && let Some(reason) = saved.obstacle(&plan)
    {
        return Err(Error::Unsupported { action: "resuming", name, reason });
    }

    make_locks(&plan, &mut claim.residue)?;
    let tie = match (ownership, &options.keep_dir) {
        (Ownership::Detached, Some(kept)) => Tie::Detached { log: kept.join("qemu.log") },
        (Ownership::Detached, None) => Tie::Detached { log: dir.file(&name, ".log") },
        _ => Tie::Parent,
    };
    if let Tie::Detached { log } = &tie
        && options.keep_dir.is_none()
    {
        claim.residue.add([log.clone()]);
    }
    claim.residue.add([dir.file(&name, LOCK)]);

    let line = plan.command_line();
    let socket = socket_of(&plan, &SocketRole::Qmp).unwrap_or_else(|| dir.file(&name, ".sock"));
    // QEMU alone keeps it: with its end, connections are refused.
    let listener = bind_socket(&socket).map_err(|source| Error::Io {
        action: "bind the monitor's socket",
        path: socket.clone(),
        source,
    })?;
    let passts = passt::start_all(&line.fds, &config, options).await?;
    let descriptors = descriptors::open(&line.fds, &listener, &config, options, passts).await?;
    let spec = ChildSpec {
        name: name.clone(),
        program: qemu.program,
        line,
        tie,
        hidden: descriptors::hidden(options),
        limits: child::limits(options)?,
    };
    let record = Record {
        name,
        pid: 0,
        started: 0,
        uuid: config.uuid.clone(),
        detached: ownership == Ownership::Detached,
        socket,
        files: claim.residue.files().to_vec(),
        config_file: options.config_file.clone(),
        ssh,
        config,
        plan,
    };
    Ok(Setup { dir, spec, descriptors, claim, record, kept, warnings })
}

/// The config with what sets the guest up, and how to log in there.
#[cfg(feature = "provision")]
async fn provide(
    name: &str,
    config: &VmConfig,
    dir: &SocketDir,
    residue: &mut Residue,
    options: &LaunchOptions,
    warnings: &mut Vec<String>,
) -> Result<(VmConfig, Option<SshLogin>), Error> {
    let mut config = config.clone();
    let provided = Box::pin(provision::provide(name, &mut config, dir, residue, options)).await?;
    let login = provided.map(|provided| {
        warnings.extend(provided.warnings);
        provided.login
    });
    Ok((config, login))
}

/// Refuses a config with a guest to set up.
#[cfg(not(feature = "provision"))]
#[expect(clippy::unused_async, reason = "as with the feature")]
async fn provide(
    name: &str,
    config: &VmConfig,
    _: &SocketDir,
    _: &mut Residue,
    _: &LaunchOptions,
    _: &mut Vec<String>,
) -> Result<(VmConfig, Option<SshLogin>), Error> {
    if config.guest.is_some() {
        return Err(Error::Unsupported {
            action: "setting up the guest of",
            name: name.to_owned(),
            reason: "this program was built without the feature `provision`".to_owned(),
        });
    }
    Ok((config.clone(), None))
}

fn plan(config: &VmConfig, qemu: &Qemu, sockets: &Path, earlier: Option<&Plan>) -> Result<Plan, Error> {
    let endpoints = Endpoints {
        qmp_fd: Some(0),
        monitor_fds: monitors::descriptors(),
        socket_dir: Some(sockets.to_owned()),
    };
    Ok(qemu_argv::replan(config, &qemu.target, &endpoints, earlier)?)
}

/// Makes the locks by which clients take turns at the agent and the consoles. They and the sockets go when the VM goes.
fn make_locks(plan: &Plan, residue: &mut Residue) -> Result<(), Error> {
    for socket in plan.sockets() {
        residue.add([socket.path.clone()]);
        if matches!(socket.role, SocketRole::Agent | SocketRole::Console(_)) {
            let lock = lock_file(&socket.path);
            residue.add([lock.clone()]);
            make_lock_file(&lock).map_err(|source| Error::Io { action: "make", path: lock, source })?;
        }
    }
    Ok(())
}
