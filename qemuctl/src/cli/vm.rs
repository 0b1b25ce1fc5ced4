//! The VM arguments.

use std::path::Path;

use clap::Args;
use clap_complete::ArgValueCompleter;
use qemuctl::home::Home;
use qemuctl::runtime::{Record, sweep_name};
use qemuctl::{Error, Instance};

use tokio::task::{JoinError, JoinHandle};

use super::complete;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;

/// The VM argument of a command.
#[derive(Args, Clone, Debug)]
pub(crate) struct Vm {
    /// VM name, or path of its monitor socket
    #[arg(value_name = "VM", add = ArgValueCompleter::new(complete::vm_names))]
    vm: String,
}

impl Vm {
    /// Returns the argument for the given name.
    pub(crate) fn named(vm: String) -> Self {
        Self { vm }
    }

    /// Returns the record that the VM's launch wrote, if its process is visible.
    pub(crate) fn record(&self, context: &Context) -> Result<Option<Record>, Failure> {
        if self.vm.contains('/') {
            return Ok(None);
        }
        let record = Record::read(&context.dir()?, &self.vm)?;
        Ok(record.filter(Record::is_visible))
    }

    /// Returns the name or path as it was typed.
    pub(crate) fn typed(&self) -> &str {
        &self.vm
    }

    /// Connects to the VM's monitor.
    pub(crate) async fn attach(&self, context: &Context) -> Result<Instance, Failure> {
        if self.vm.contains('/') {
            return Ok(Instance::attach(&self.vm).await?);
        }
        let dir = context.dir()?;
        match Instance::attach_name_in(&dir, &self.vm).await {
            Ok(vm) => Ok(vm),
            Err(Error::NotFound { .. }) => Err(not_found(&self.vm, &dir)),
            Err(Error::Busy { .. }) => Err(busy(&self.vm)),
            Err(Error::Unresponsive { .. }) => Err(unresponsive(&self.vm)),
            Err(error) => Err(error.into()),
        }
    }
}

/// The VM arguments of a command that takes several.
#[derive(Args, Clone, Debug)]
pub(crate) struct Vms {
    /// VM names, or paths of their monitor sockets
    #[arg(value_name = "VM", required_unless_present = "all", add = ArgValueCompleter::new(complete::vm_names))]
    vms: Vec<String>,

    /// All running VMs
    #[arg(short, long, conflicts_with = "vms")]
    all: bool,
}

impl Vms {
    /// Returns the chosen VMs.
    pub(crate) fn chosen(self, context: &Context) -> Result<Vec<Vm>, Failure> {
        if !self.all {
            return Ok(self.vms.into_iter().map(Vm::named).collect());
        }
        let records = Record::all(&context.dir()?)?.into_iter().filter(Record::is_alive);
        Ok(records.map(|record| Vm::named(record.name)).collect())
    }
}

/// Waits for a command on several VMs. A failure is printed and does not stop the others.
pub(crate) async fn all(
    mut works: Vec<JoinHandle<Result<Exit, Failure>>>,
    context: &Context,
) -> Result<Exit, Failure> {
    let done = |done: Result<Result<Exit, Failure>, JoinError>| {
        done.unwrap_or_else(|error| Err(Failure::of(Exit::Failed, &error)))
    };
    if works.len() == 1
        && let Some(only) = works.pop()
    {
        return done(only.await);
    }
    let mut exit = Exit::Done;
    for work in works {
        let one = done(work.await).unwrap_or_else(|failure| {
            context.fail(&failure);
            failure.exit
        });
        if exit.is_done() {
            exit = one;
        }
    }
    Ok(exit)
}

fn busy(name: &str) -> Failure {
    Failure::new(Exit::Failed, format!("all monitors of {name} are in use by other programs")).with_help(
        "QEMU serves 16 monitor clients at a time, or one if qemuctl did not start it; close one of them",
    )
}

fn unresponsive(name: &str) -> Failure {
    Failure::new(Exit::Failed, format!("{name} does not answer: QEMU is stopped or hangs")).with_help(
        format!("continue a stopped process with `kill -CONT`, or end the VM with `qemuctl kill {name}`"),
    )
}

fn not_found(name: &str, dir: &Path) -> Failure {
    // If the VM ended unobserved, report that instead of "not found", and remove its leftovers.
    if let Ok(Some(ended)) = sweep_name(dir, name) {
        return Failure::new(Exit::NotFound, ended.to_string());
    }
    if Home::open().is_ok_and(|home| home.has(name)) {
        return Failure::new(Exit::NotFound, format!("{name} is not running"))
            .with_help(format!("`qemuctl info {name}` shows it; `qemuctl start {name}` starts it"));
    }
    let failure =
        Failure::new(Exit::NotFound, format!("no running VM called {name:?} (looked in {})", dir.display()));
    let names = complete::names_in(dir);
    let nearest = qemuctl::config::nearest(name, names.iter().map(String::as_str));
    match (nearest, names.as_slice()) {
        (Some(nearest), _) => failure.with_help(format!("did you mean `{nearest}`?")),
        (None, []) => {
            failure.with_help("no VM is running there; start one with `qemuctl run` or `qemuctl start`")
        }
        (None, names) => failure.with_help(format!("running VMs: {}", names.join(", "))),
    }
}
