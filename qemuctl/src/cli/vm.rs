//! The VM that a command is about.

use std::path::Path;

use clap::Args;
use clap_complete::ArgValueCompleter;
use qemuctl::runtime::{Record, sweep_name};
use qemuctl::{Error, Instance};

use tokio::task::{JoinError, JoinHandle};

use super::complete;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;

/// Which VM.
#[derive(Args, Clone, Debug)]
pub(crate) struct Vm {
    /// The VM's name, or the path of its monitor socket
    #[arg(value_name = "VM", add = ArgValueCompleter::new(complete::vm_names))]
    vm: String,
}

impl Vm {
    /// The VM of that name.
    pub(crate) fn named(vm: String) -> Self {
        Self { vm }
    }

    /// What the launch of the VM wrote down, if its process can be seen.
    pub(crate) fn record(&self, context: &Context) -> Result<Option<Record>, Failure> {
        if self.vm.contains('/') {
            return Ok(None);
        }
        let record = Record::read(&context.dir()?, &self.vm)?;
        Ok(record.filter(Record::is_visible))
    }

    /// Its name or path, as it was typed.
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

/// Which VMs.
#[derive(Args, Clone, Debug)]
pub(crate) struct Vms {
    /// The VMs' names, or the paths of their monitor sockets
    #[arg(value_name = "VM", required_unless_present = "all", add = ArgValueCompleter::new(complete::vm_names))]
    vms: Vec<String>,

    /// All VMs that run
    #[arg(short, long, conflicts_with = "vms")]
    all: bool,
}

impl Vms {
    /// Those that were asked for.
    pub(crate) fn chosen(self, context: &Context) -> Result<Vec<Vm>, Failure> {
        if !self.all {
            return Ok(self.vms.into_iter().map(Vm::named).collect());
        }
        let records = Record::all(&context.dir()?)?.into_iter().filter(Record::is_alive);
        Ok(records.map(|record| Vm::named(record.name)).collect())
    }
}

/// Waits for what is done to several VMs. A failure is told, and keeps nothing else from being done.
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
    Failure::new(Exit::Failed, format!("other programs are using all of {name}'s monitors"))
        .with_help("QEMU serves 16 visitors at a time, one if something else started it; end one of them")
}

fn unresponsive(name: &str) -> Failure {
    Failure::new(Exit::Failed, format!("{name} does not answer: its QEMU is stopped or hangs")).with_help(
        format!("`kill -CONT` resumes a stopped process; `qemuctl kill {name}` ends it in any case"),
    )
}

fn not_found(name: &str, dir: &Path) -> Failure {
    // If it was there, that is more than "not found", and what it left goes.
    if let Ok(Some(ended)) = sweep_name(dir, name) {
        return Failure::new(Exit::NotFound, ended.to_string());
    }
    let failure = Failure::new(
        Exit::NotFound,
        format!("no VM called {name:?} runs with its socket in {}", dir.display()),
    );
    let names = complete::names_in(dir);
    let nearest = qemuctl::config::nearest(name, names.iter().map(String::as_str));
    match (nearest, names.as_slice()) {
        (Some(nearest), _) => failure.with_help(format!("did you mean `{nearest}`?")),
        (None, []) => failure.with_help("none runs there; start one with `qemuctl run` or `qemuctl start`"),
        (None, names) => failure.with_help(format!("these run: {}", names.join(", "))),
    }
}
