//! `start`: a VM in the background.

use std::path::{Path, PathBuf};

use qemuctl::{LaunchOptions, Ownership};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::keeper;
use super::launch::launch;
use super::loaded::Loaded;
use super::machine::MachineArgs;
use super::run;
use super::signals::Signals;
use super::started::Started;
use super::ways::Ways;

/// Start a VM in the background
///
/// It outlives this program. If it has ended by the time it is started, the exit code is that of `run`. Find it with `list`, look at its console with `console`, end it with `stop`. A machine of the home is kept by a small process of its own, which writes down what happens to it and starts it again if its `[keep]` section says so.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    machine: MachineArgs,

    /// Further machines to start
    #[arg(value_name = "MORE")]
    more: Vec<PathBuf>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    if let Some(name) = &context.keeper_of {
        let load = || args.machine.load_as(Path::new(name));
        return Ok(keeper::keep(load, context).await);
    }
    if args.more.is_empty() {
        return start(args.machine.load()?, context).await;
    }
    let mut exit = Exit::Done;
    for name in args.machine.file().into_iter().chain(args.more.iter().map(PathBuf::as_path)) {
        let started = match args.machine.load_as(name) {
            Ok(loaded) => start(loaded, context).await,
            Err(failure) => Err(failure),
        };
        // One that does not start keeps the others from nothing.
        let of_this = started.unwrap_or_else(|failure| {
            context.fail(&failure);
            failure.exit
        });
        if exit.is_done() {
            exit = of_this;
        }
    }
    Ok(exit)
}

async fn start(loaded: Loaded, context: &Context) -> Result<Exit, Failure> {
    if let Some(machine) = loaded.machine() {
        loaded.check_files()?;
        let arguments = std::env::args_os().skip(1).collect();
        return keeper::start(machine, arguments, context).await;
    }
    let mut signals = Signals::listen()?;
    let vm = launch(&loaded, Ownership::Detached, LaunchOptions::default(), &mut signals, context).await?;
    let ways = Ways::of(&vm).await;
    // After the last wait: an end that is seen from here on is left for the next command to tell.
    let ended = vm.exit();
    if context.json {
        context.print_json(&Started::new(&vm, &ways, ended.as_ref()))?;
    }
    if let Some(ended) = ended {
        // A guest that ends at once is a VM that ran, and its end the result.
        return run::tell(&vm, &ended, context);
    }
    if !context.json {
        context.note(format_args!("{} runs as process {}", vm.name(), vm.pid().unwrap_or_default()));
        ways.tell(context);
    }
    Ok(Exit::Done)
}
