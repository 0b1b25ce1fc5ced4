//! `wait`: waits for a VM to end or to reach a state.

use std::cell::OnceCell;
use std::time::Duration;

use qemuctl::runtime::Record;
use qemuctl::{Error, ExitReason, Instance, qmp_client::ClientError};

use super::agent::NO_CHANNEL;
use super::context::Context;
use super::duration::Span;
use super::exit::Exit;
use super::failure::Failure;
use super::progress::Progress;
use super::vm::Vm;

/// Wait until a VM ends or reaches a state
///
/// The exit code says how the VM ended, as for `run`; 5 means that the wait timed out.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// Wait for this state instead of the end; `agent` waits for the guest agent to answer
    #[arg(long, value_name = "STATE", value_parser = GOALS)]
    r#for: Option<String>,

    /// Wait for the VM to be started, if it is not running
    #[arg(long)]
    appear: bool,

    /// How long to wait [default: forever]
    #[arg(short, long, value_name = "DURATION")]
    timeout: Option<Span>,
}

/// The values of `--for`: the agent, or a state.
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

/// The interval between looks for a VM that has not been started yet.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let name = args.vm.typed();
    let goal = args.r#for.as_deref();
    let what = match goal {
        Some("agent") => format!("the guest agent of {name} to answer"),
        Some(state) => format!("{name} to be {state}"),
        None => format!("{name} to end"),
    };
    let progress = Progress::start(context, format!("waiting for {what}"));
    let limit = args.timeout.map_or(Duration::MAX, |timeout| timeout.0);
    let found = OnceCell::new();
    let waited = tokio::time::timeout(limit, async {
        match find(&args, context).await? {
            Found::Vm(vm) => reach(found.get_or_init(|| vm), goal, context).await,
            Found::Process(record) => {
                record.ended().await?;
                let reason = ExitReason::Lost;
                context.note(format_args!("{name}: {reason} (its monitors were in use)"));
                Ok(Exit::Failed)
            }
        }
    });
    let waited = waited.await;
    progress.finish();
    waited.unwrap_or_else(|_| {
        let limit = Span(limit);
        let text = match (found.get(), goal) {
            (None, _) if args.appear => format!("no VM called {name} was started within {limit}"),
            (_, Some("agent")) => format!("the guest agent of {name} did not answer within {limit}"),
            (Some(vm), _) => format!("{name} is still {} after {limit}", vm.state()),
            (None, _) => format!("{name} is still running after {limit}"),
        };
        Err(Failure::new(Exit::TimedOut, text))
    })
}

/// The two ways to wait for a VM.
enum Found {
    /// A VM whose monitor reports its state and exit reason.
    Vm(Instance),
    /// A VM whose monitors are all in use; its process shows when it ends.
    Process(Box<Record>),
}

async fn find(args: &Args, context: &Context) -> Result<Found, Failure> {
    loop {
        let failure = match args.vm.attach(context).await {
            Ok(vm) => return Ok(Found::Vm(vm)),
            Err(failure) => failure,
        };
        if failure.exit == Exit::NotFound && args.appear {
            tokio::time::sleep(LOOK_AGAIN).await;
            continue;
        }
        // An end needs no monitor, so it is waited for whoever has them.
        return match args.vm.record(context) {
            Ok(Some(record)) if args.r#for.is_none() => Ok(Found::Process(Box::new(record))),
            _ => Err(failure),
        };
    }
}

/// The timeout of one ping of the agent, after which it is repeated.
const ATTEMPT: Duration = Duration::from_secs(60);

async fn reach(vm: &Instance, goal: Option<&str>, context: &Context) -> Result<Exit, Failure> {
    let Some(goal) = goal else {
        let ended = vm.wait_exit().await;
        context.note(format_args!("{}: {}", vm.name(), ended.reason));
        return Ok(Exit::of(&ended));
    };
    let never = || Failure::new(Exit::Failed, format!("{} ended without having been {goal}", vm.name()));
    if goal == "agent" {
        loop {
            return match vm.wait_agent(ATTEMPT).await {
                Ok(_) => Ok(Exit::Done),
                Err(_) if vm.exit_reason().is_some() => Err(Failure::new(
                    Exit::Failed,
                    format!("{} ended before its guest agent answered", vm.name()),
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
