//! Commands about machines, running or not.

pub(super) mod adopt;
pub(super) mod clone;
pub(super) mod create;
pub(super) mod edit;
pub(super) mod info;
pub(super) mod logs;
pub(super) mod rename;
pub(super) mod restart;
pub(super) mod rm;
pub(super) mod set;
mod told;

pub(super) use told::{ago_s, ended, state};

use std::time::Duration;

use clap::Args;
use clap_complete::ArgValueCompleter;
use qemuctl::Error;
use qemuctl::home::{Home, StoredMachine};

use super::complete;
use super::exit::Exit;
use super::failure::Failure;

/// How long a keeper may take to end after its VM.
const SETTLES: Duration = Duration::from_secs(10);

/// The machine argument of a command.
#[derive(Args, Clone, Debug)]
pub(super) struct Named {
    /// Machine name
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(complete::machine_names))]
    name: String,
}

impl Named {
    fn machine(&self) -> Result<StoredMachine, Failure> {
        machine(&self.name)
    }
}

/// Opens the named machine.
pub(super) fn machine(name: &str) -> Result<StoredMachine, Failure> {
    let home = Home::open()?;
    match home.machine(name) {
        Err(error @ Error::NoSuchMachine { .. }) => {
            let machines = home.machines().unwrap_or_default();
            let names: Vec<_> = machines.iter().map(StoredMachine::name).collect();
            let help = match (qemuctl::config::nearest(name, names.iter().copied()), names.as_slice()) {
                (Some(nearest), _) => format!("did you mean `{nearest}`?"),
                (None, []) => "create one with `qemuctl create`".to_owned(),
                (None, names) => format!("the machines are: {}", names.join(", ")),
            };
            Err(Failure::of(Exit::NotFound, &error).with_help(help))
        }
        found => Ok(found?),
    }
}

/// Runs `work`, which stops a VM. If the VM is a machine, its keeper does not restart it, and has ended when this
/// returns.
pub(super) async fn for_good<T>(
    name: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let Some(machine) = kept(name) else { return work.await };
    machine.stay_down(true)?;
    let done = work.await;
    // The keeper may need a moment to write down how the VM ended.
    if done.is_err() || machine.settled(SETTLES).await? {
        machine.stay_down(false)?;
    }
    done
}

/// Returns the machine of the given VM, if it is one.
pub(super) fn kept(name: &str) -> Option<StoredMachine> {
    let machine = Home::open().ok()?.machine(name).ok()?;
    let status = machine.status().ok()?;
    (status.record().is_some() || status.keeper.is_some()).then_some(machine)
}
