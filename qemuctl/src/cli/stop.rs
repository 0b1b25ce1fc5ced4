//! `stop`: ends a VM as gently as it lets us.

use std::time::Duration;

use qemuctl::{GuestAnswer, Rung, StopOutcome};
use serde::Serialize;

use super::context::Context;
use super::duration::Span;
use super::exit::Exit;
use super::failure::Failure;
use super::home;
use super::progress::Progress;
use super::vm::{Vm, Vms};

/// Shut a VM down
///
/// The guest is asked, by its agent or the power button, and gets --timeout to shut down; twice that if it shows that it is
/// shutting down, since its agent has ended. Then QEMU is told to quit, and at last killed: for the guest that is a power cut, and
/// the exit code is 6. A guest that is paused is resumed first, so that it can obey.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vms: Vms,

    /// How long the guest may take; with 0 it is not asked, and QEMU is stopped at once
    #[arg(short, long, value_name = "DURATION", default_value = "60s")]
    timeout: Span,
}

/// How long a keeper may take to end that keeps nothing.
const KEEPER_ENDS: Duration = Duration::from_secs(10);

/// What `--json` prints.
#[derive(Serialize)]
struct Stopped<'a> {
    name: &'a str,
    /// Why QEMU ended, such as `guest shut down`.
    reason: String,
    /// What it took, such as `by the power button`.
    how: String,
    /// Whether the guest has shut down; else QEMU was stopped under it.
    clean: bool,
    seconds: f64,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    // All at once: each takes its time to shut down.
    let stops = args.vms.chosen(context)?.into_iter().map(|vm| {
        let (context, timeout) = (context.clone(), args.timeout);
        tokio::spawn(async move { stop(&vm, timeout, &context).await })
    });
    super::vm::all(stops.collect(), context).await
}

/// Stops one for good: a machine of the home is not started again by its keeper.
async fn stop(vm: &Vm, timeout: Span, context: &Context) -> Result<Exit, Failure> {
    if let Some(machine) = home::kept(vm.typed())
        && machine.status()?.record().is_none()
    {
        machine.stay_down(true)?;
        machine.dismiss_keeper()?;
        if machine.settled(KEEPER_ENDS).await? {
            machine.stay_down(false)?;
        }
        context.note(format_args!("{} does not run, and is not started again", machine.name()));
        return Ok(Exit::Done);
    }
    home::for_good(vm.typed(), Box::pin(shut_down(vm, timeout, context))).await
}

/// Shuts one down.
pub(super) async fn shut_down(vm: &Vm, timeout: Span, context: &Context) -> Result<Exit, Failure> {
    let vm = vm.attach(context).await?;
    let progress = Progress::start(context, format!("waiting for {} to shut down", vm.name()));
    let outcome = vm.stop(timeout.0).await?;
    progress.finish();
    let name = vm.name();
    if context.json {
        context.print_json(&Stopped {
            name,
            reason: outcome.reason.to_string(),
            how: outcome.rung.to_string(),
            clean: outcome.guest == GuestAnswer::ShutDown,
            seconds: outcome.took.as_secs_f64(),
        })?;
    }
    match outcome.guest {
        GuestAnswer::Ignored if context.json => Ok(Exit::Disobeyed),
        GuestAnswer::Ignored => Err(disobeyed(name, &outcome)),
        _ if context.json => Ok(Exit::Done),
        GuestAnswer::NotAsked if outcome.rung > Rung::AlreadyEnded => {
            context.note(format_args!("stopped {name} without asking its guest ({})", outcome.rung));
            Ok(Exit::Done)
        }
        _ => {
            context.note(format_args!("{name}: {outcome}"));
            Ok(Exit::Done)
        }
    }
}

/// What is said when a guest was asked in vain.
pub(super) fn disobeyed(name: &str, outcome: &StopOutcome) -> Failure {
    let seconds = outcome.took.as_secs_f64();
    let message = format!(
        "{name} did not shut down within {seconds:.0} s; QEMU was stopped ({}), a power cut to the guest",
        outcome.rung
    );
    Failure::new(Exit::Disobeyed, message)
}
