//! `wait`: until a VM ends, or does something.

use std::time::Duration;

use qemuctl::{ClientError, Error, Instance};

use super::agent::NO_CHANNEL;
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

    /// Wait for this state instead of the end; `agent`: until the guest's agent answers
    #[arg(long, value_name = "STATE", value_parser = GOALS)]
    r#for: Option<String>,

    /// How long to wait, in seconds. Left out: for ever
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u64>,
}

/// What can be waited for: the agent, or the name of a state.
const GOALS: [&str; 12] = [
    "agent",
    "running",
    "paused",
    "suspended",
    "shutdown",
    "crashed",
    "prelaunch",
    "guest-panicked",
    "io-error",
    "watchdog",
    "internal-error",
    "unresponsive",
];

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let goal = args.r#for.as_deref();
    let what = match goal {
        Some("agent") => format!("the guest agent of {} to answer", vm.name()),
        Some(state) => format!("{} to be {state}", vm.name()),
        None => format!("{} to end", vm.name()),
    };
    let progress = Progress::start(context, format!("waiting for {what}"));
    let limit = args.timeout.map_or(Duration::MAX, Duration::from_secs);
    let waited = tokio::time::timeout(limit, reach(&vm, goal, context)).await;
    progress.finish();
    waited.unwrap_or_else(|_| {
        let seconds = limit.as_secs();
        let text = match goal {
            Some("agent") => format!("no guest agent has answered in {} within {seconds} s", vm.name()),
            _ => format!("{} is {} still after {seconds} s", vm.name(), vm.state()),
        };
        Err(Failure::new(Exit::TimedOut, text))
    })
}

/// How long one question to the agent lasts; then it is asked again.
const ATTEMPT: Duration = Duration::from_secs(60);

async fn reach(vm: &Instance, goal: Option<&str>, context: &Context) -> Result<Exit, Failure> {
    let Some(goal) = goal else {
        let reason = vm.wait().await;
        context.note(format_args!("{}: {reason}", vm.name()));
        return Ok(Exit::of(&reason));
    };
    let never = || Failure::new(Exit::Failed, format!("{} has ended and was never {goal}", vm.name()));
    if goal == "agent" {
        loop {
            return match vm.wait_agent(ATTEMPT).await {
                Ok(_) => Ok(Exit::Done),
                Err(_) if vm.exit_reason().is_some() => Err(Failure::new(
                    Exit::Failed,
                    format!("{} has ended and its agent never answered", vm.name()),
                )),
                Err(error @ Error::Missing { .. }) => Err(Failure::from(error).with_help(NO_CHANNEL)),
                // QEMU is there, and the guest still boots.
                Err(Error::Qmp(ClientError::NoAgent { .. } | ClientError::Timeout { .. })) => continue,
                Err(error) => Err(error.into()),
            };
        }
    }
    let mut states = vm.states();
    let reached = states.wait_for(|state| state.to_string() == goal || state.is_over()).await;
    match reached.as_deref() {
        Ok(state) if state.to_string() == goal => Ok(Exit::Done),
        _ => Err(never()),
    }
}
