//! `wait`: until a VM ends, or does something.

use std::time::Duration;

use qemuctl::Instance;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::progress::Progress;
use super::vm::Vm;

/// Wait until a VM ends, or is in some state
///
/// The exit code tells how it ended, as that of `run` does; 5: the time was up.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// Wait for this state instead of the end, such as running or paused
    #[arg(long, value_name = "STATE")]
    r#for: Option<String>,

    /// How long to wait, in seconds. Left out: for ever
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let goal = args.r#for.as_deref();
    let progress = Progress::start(
        context,
        match goal {
            Some(state) => format!("waiting for {} to be {state}", vm.name()),
            None => format!("waiting for {} to end", vm.name()),
        },
    );
    let limit = args.timeout.map_or(Duration::MAX, Duration::from_secs);
    let waited = tokio::time::timeout(limit, reach(&vm, goal)).await;
    progress.finish();
    let Ok(reached) = waited else {
        let text = format!("{} is {} still after {} s", vm.name(), vm.state(), limit.as_secs());
        return Err(Failure::new(Exit::TimedOut, text));
    };
    reached
}

async fn reach(vm: &Instance, goal: Option<&str>) -> Result<Exit, Failure> {
    let Some(goal) = goal else {
        let reason = vm.wait().await;
        return Ok(Exit::of(&reason));
    };
    let mut states = vm.states();
    let reached = states.wait_for(|state| state.to_string() == goal || state.is_over()).await;
    match reached.as_deref() {
        Ok(state) if state.to_string() == goal => Ok(Exit::Done),
        _ => Err(Failure::new(Exit::Failed, format!("{} has ended and was never {goal}", vm.name()))),
    }
}
