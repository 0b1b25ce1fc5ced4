//! Machines of the home: made, looked at, changed and removed, whether they run or not.

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

/// How long a keeper may take to end once its VM has.
const SETTLES: Duration = Duration::from_secs(10);

/// Which machine.
#[derive(Args, Clone, Debug)]
pub(super) struct Named {
    /// The machine's name
    #[arg(value_name = "NAME", add = ArgValueCompleter::new(complete::machine_names))]
    name: String,
}

impl Named {
    fn machine(&self) -> Result<StoredMachine, Failure> {
        machine(&self.name)
    }
}

/// The machine called that.
fn machine(name: &str) -> Result<StoredMachine, Failure> {
    let home = Home::open()?;
    match home.machine(name) {
        Err(error @ Error::NoSuchMachine { .. }) => {
            let machines = home.machines().unwrap_or_default();
            let names: Vec<_> = machines.iter().map(StoredMachine::name).collect();
            let help = match (qemuctl::config::nearest(name, names.iter().copied()), names.as_slice()) {
                (Some(nearest), _) => format!("did you mean `{nearest}`?"),
                (None, []) => "make one with `qemuctl create`".to_owned(),
                (None, names) => format!("there are: {}", names.join(", ")),
            };
            Err(Failure::of(Exit::NotFound, &error).with_help(help))
        }
        found => Ok(found?),
    }
}

/// Runs `work` on a machine that is about to be stopped for good. If it is one of the home, its keeper lets it be, and has ended
/// afterwards.
pub(super) async fn for_good<T>(
    name: &str,
    work: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Failure> {
    let Some(machine) = kept(name) else { return work.await };
    machine.stay_down(true)?;
    let done = work.await;
    // A keeper may take its time to write the end down.
    if done.is_err() || machine.settled(SETTLES).await? {
        machine.stay_down(false)?;
    }
    done
}

/// The machine of the home whose VM that is, if it is one.
pub(super) fn kept(name: &str) -> Option<StoredMachine> {
    let machine = Home::open().ok()?.machine(name).ok()?;
    let status = machine.status().ok()?;
    (status.record().is_some() || status.keeper.is_some()).then_some(machine)
}
