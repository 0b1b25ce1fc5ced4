//! `start`: a VM in the background.

use qemuctl::Ownership;
use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::launch::launch;
use super::machine::MachineArgs;
use super::signals::Signals;

/// Start a VM in the background
///
/// It outlives this program. Find it with `list`, look at its console with `console`, end it with `stop`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    machine: MachineArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Started<'a> {
    name: &'a str,
    pid: Option<u32>,
    /// The monitor socket.
    socket: Option<&'a std::path::Path>,
    warnings: &'a [String],
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let loaded = args.machine.load()?;
    let mut signals = Signals::listen()?;
    let vm = launch(&loaded, Ownership::Detached, &mut signals, context).await?;
    if context.json {
        let started =
            Started { name: vm.name(), pid: vm.pid(), socket: vm.socket(), warnings: vm.warnings() };
        context.print_json(&started)?;
    } else {
        context.note(format_args!("{} runs as process {}", vm.name(), vm.pid().unwrap_or_default()));
    }
    Ok(Exit::Done)
}
