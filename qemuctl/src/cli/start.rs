//! `start`: a VM in the background.

use qemuctl::{Instance, LaunchOptions};
use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::machine::MachineArgs;
use super::progress::Progress;
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
    loaded.check_files()?;
    let mut signals = Signals::listen()?;
    let options = LaunchOptions { socket_dir: context.chosen_dir(), ..LaunchOptions::default() };
    let progress = Progress::start(context, "starting QEMU");
    let vm = tokio::select! {
        vm = Instance::start_detached(&loaded.config, &options) => vm.map_err(|error| loaded.explain_launch(error))?,
        name = signals.next() => {
            return Err(Failure::new(Exit::Failed, format!("stopped by {name} before the VM was up")));
        }
    };
    progress.finish();
    if context.json {
        let started =
            Started { name: vm.name(), pid: vm.pid(), socket: vm.socket(), warnings: vm.warnings() };
        context.print_json(&started)?;
        return Ok(Exit::Done);
    }
    for warning in vm.warnings() {
        context.warn(warning);
    }
    context.note(format_args!("{} runs as process {}", vm.name(), vm.pid().unwrap_or_default()));
    Ok(Exit::Done)
}
