//! The VM that a command is about.

use std::path::Path;

use clap::Args;
use clap_complete::ArgValueCompleter;
use qemuctl::runtime::Record;
use qemuctl::{Error, Instance};

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

    /// What the launch of the VM wrote down, if it is ours and lives.
    pub(crate) fn record(&self, context: &Context) -> Result<Option<Record>, Failure> {
        if self.vm.contains('/') {
            return Ok(None);
        }
        let record = Record::read(&context.dir()?, &self.vm)?;
        Ok(record.filter(Record::is_alive))
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
            Err(Error::Busy { socket }) => Err(busy(&self.vm, &socket)),
            Err(error) => Err(error.into()),
        }
    }
}

fn busy(name: &str, socket: &Path) -> Failure {
    let text = format!(
        "{name} cannot be reached at {}: another program has its monitor, or QEMU hangs",
        socket.display()
    );
    Failure::new(Exit::Failed, text)
        .with_help("QEMU serves one client at a time; `qemuctl list` shows the process, `qemuctl kill` ends it in any case")
}

fn not_found(name: &str, dir: &Path) -> Failure {
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
