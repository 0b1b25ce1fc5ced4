//! A control plane on types alone: no process is started, no VM is described. A QEMU is asked and told over its QMP socket,
//! with a type for each command, reply and event.
//!
//! `control_plane SOCKET`: prints what the QEMU behind it has, then pauses the guest and lets it go on.

use std::error::Error;
use std::time::Duration;

use qmp_client::{ClientError, Options, Session};
use qmp_proto::event::{Resume, Stop};
use qmp_proto::{
    Cont, QueryBlock, QueryCpusFast, QueryName, QueryStatus, QueryVersion, RunState, Stop as StopCommand,
};

/// How long QEMU may take to do as told.
const PATIENCE: Duration = Duration::from_secs(10);

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let socket = std::env::args().nth(1).ok_or("usage: control_plane SOCKET")?;
    let session = Session::connect(socket, &Options::default()).await?;
    let machine = inventory(&session).await?;
    println!("{machine:#?}");
    if machine.status == RunState::Running {
        pause_and_resume(&session).await?;
    }
    Ok(())
}

/// What a control plane keeps of a machine.
#[derive(Debug, PartialEq, Eq)]
pub struct Machine {
    /// Its name, if it has one.
    pub name: Option<String>,
    /// The release of QEMU: major, minor, micro.
    pub qemu: (i64, i64, i64),
    /// What it does.
    pub status: RunState,
    /// How many processors it has.
    pub cpus: usize,
    /// The device of each drive, and the file in it.
    pub drives: Vec<(String, Option<String>)>,
}

/// Asks everything at once: a session answers many callers at the same time.
///
/// # Errors
///
/// Whatever went wrong on the way.
pub async fn inventory(session: &Session) -> Result<Machine, ClientError> {
    let (name, version, status, cpus, drives) = tokio::try_join!(
        session.execute(QueryName {}),
        session.execute(QueryVersion {}),
        session.execute(QueryStatus {}),
        session.execute(QueryCpusFast {}),
        session.execute(QueryBlock::default()),
    )?;
    let drives = drives.into_iter().map(|drive| {
        let id = drive.qdev.unwrap_or(drive.device);
        (id, drive.inserted.map(|medium| medium.file))
    });
    Ok(Machine {
        name: name.name,
        qemu: (version.qemu.major, version.qemu.minor, version.qemu.micro),
        status: status.status,
        cpus: cpus.len(),
        drives: drives.collect(),
    })
}

/// Pauses the guest and lets it go on; each is done when QEMU has said so by an event.
///
/// # Errors
///
/// Whatever went wrong on the way.
pub async fn pause_and_resume(session: &Session) -> Result<(), Box<dyn Error>> {
    // Before the command, so that no event comes too early.
    let mut stopped = session.wait_for::<Stop>();
    session.execute(StopCommand {}).await?;
    stopped.wait_timeout(PATIENCE).await?;
    let mut resumed = session.wait_for::<Resume>();
    session.execute(Cont {}).await?;
    resumed.wait_timeout(PATIENCE).await?;
    Ok(())
}
