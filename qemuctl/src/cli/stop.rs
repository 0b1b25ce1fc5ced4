//! `stop`: shuts a VM down.

use std::time::Duration;

use qemuctl::{
    StopOutcome,
    control::{GuestAnswer, StopStep},
};
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
/// The guest is asked to shut down through its agent or the power button, and has the time of --timeout to do so, or
/// twice that once it has begun. After that QEMU is stopped, or as a last resort killed. For the guest that is a power
/// cut, and the exit code is 6. A paused guest is resumed first.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vms: Vms,

    /// How long to wait for the guest; 0 stops QEMU at once, without asking the guest
    #[arg(short, long, value_name = "DURATION", default_value = "60s")]
    timeout: Span,
}

/// How long an idle keeper may take to end.
const KEEPER_ENDS: Duration = Duration::from_secs(10);

/// What `--json` prints.
#[derive(Serialize)]
struct Stopped<'a> {
    name: &'a str,
    /// The exit reason, such as `guest shut down`.
    reason: String,
    /// The step that ended the VM, such as `by the power button`.
    how: String,
    /// Whether the guest shut down by itself.
    clean: bool,
    seconds: f64,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    // In parallel, since each takes its time to shut down.
    let stops = args.vms.chosen(context)?.into_iter().map(|vm| {
        let (context, timeout) = (context.clone(), args.timeout);
        tokio::spawn(async move { stop(&vm, timeout, &context).await })
    });
    super::vm::all(stops.collect(), context).await
}

/// Stops one VM for good: a machine's keeper does not restart it.
async fn stop(vm: &Vm, timeout: Span, context: &Context) -> Result<Exit, Failure> {
    if let Some(machine) = home::kept(vm.typed())
        && machine.status()?.record().is_none()
    {
        machine.stay_down(true)?;
        machine.dismiss_keeper()?;
        if machine.settled(KEEPER_ENDS).await? {
            machine.stay_down(false)?;
        }
        context.note(format_args!("{} is not running, and will not be restarted", machine.name()));
        return Ok(Exit::Done);
    }
    home::for_good(vm.typed(), Box::pin(shut_down(vm, timeout, context))).await
}

/// Shuts one VM down.
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
            how: outcome.step.to_string(),
            clean: outcome.guest == GuestAnswer::ShutDown,
            seconds: outcome.took.as_secs_f64(),
        })?;
    }
    match outcome.guest {
        GuestAnswer::Ignored if context.json => Ok(Exit::Disobeyed),
        GuestAnswer::Ignored => Err(disobeyed(name, &outcome)),
        _ if context.json => Ok(Exit::Done),
        GuestAnswer::NotAsked if outcome.step > StopStep::AlreadyEnded => {
            context.note(format_args!("stopped {name} without a guest shutdown ({})", outcome.step));
            Ok(Exit::Done)
        }
        _ => {
            context.note(format_args!("{name}: {outcome}"));
            Ok(Exit::Done)
        }
    }
}

/// Returns the failure for a guest that did not shut down.
pub(super) fn disobeyed(name: &str, outcome: &StopOutcome) -> Failure {
    let seconds = outcome.took.as_secs_f64();
    let message = format!(
        "{name} did not shut down within {seconds:.0} s; QEMU was stopped ({}), like a power cut",
        outcome.step
    );
    Failure::new(Exit::Disobeyed, message)
}
