//! `stop`: ends a VM as gently as it lets us.

use std::time::Duration;

use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::progress::Progress;
use super::vm::Vm;

/// Shut a VM down
///
/// The guest is asked (by the power button) and gets --timeout to obey; then QEMU is told to quit, then its process is
/// ended. What it took is told.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// How long the guest may take, in seconds; 0 does not ask it
    #[arg(short, long, value_name = "SECONDS", default_value_t = 30)]
    timeout: u64,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Stopped<'a> {
    name: &'a str,
    /// Why QEMU ended, such as `guest shut down`.
    reason: String,
    /// What it took, such as `by the power button`.
    how: String,
    seconds: f64,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let progress = Progress::start(context, format!("waiting for {} to shut down", vm.name()));
    let outcome = vm.stop(Duration::from_secs(args.timeout)).await?;
    progress.finish();
    if context.json {
        context.print_json(&Stopped {
            name: vm.name(),
            reason: outcome.reason.to_string(),
            how: outcome.rung.to_string(),
            seconds: outcome.took.as_secs_f64(),
        })?;
    } else {
        context.note(format_args!("{}: {outcome}", vm.name()));
    }
    Ok(Exit::Done)
}
