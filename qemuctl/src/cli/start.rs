//! `start`: starts a VM in the background.

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
/// The VM outlives this program: see it with `list`, connect to it with `console`, shut it down with `stop`. If it has
/// ended by the time this command returns, the exit code is that of `run`. A machine gets a keeper, a small background
/// process that records its events and restarts it according to its `[keep]` section.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    machine: MachineArgs,

    /// More machines to start
    #[arg(value_name = "MORE")]
    more: Vec<PathBuf>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    if let Some(name) = &context.keeper_of {
        let load = || args.machine.load_as(Path::new(name));
        return Ok(keeper::keep(load, context).await);
    }
    if args.more.is_empty() {
        return Box::pin(start(args.machine.load()?, context)).await;
    }
    let mut exit = Exit::Done;
    for name in args.machine.file().into_iter().chain(args.more.iter().map(PathBuf::as_path)) {
        let started = match args.machine.load_as(name) {
            Ok(loaded) => Box::pin(start(loaded, context)).await,
            Err(failure) => Err(failure),
        };
        // A failure does not prevent the others from starting.
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
    // Checked after the last wait: an end that comes later is reported by the next command.
    let ended = vm.exit();
    if context.json {
        context.print_json(&Started::new(&vm, &ways, ended.as_ref()))?;
    }
    if let Some(ended) = ended {
        // A guest that ends at once has run, so its exit reason is the result.
        return run::tell(&vm, &ended, context);
    }
    if !context.json {
        context.note(format_args!("started {} (process {})", vm.name(), vm.pid().unwrap_or_default()));
        ways.tell(context);
    }
    Ok(Exit::Done)
}
