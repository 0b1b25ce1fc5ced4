//! The guest's agent, as the commands that work inside a guest need it.

use std::time::Duration;

use qemuctl::qmp_client::agent::{Agent, Exec};
use qemuctl::{ClientError, Error, Instance};

use super::context::Context;
use super::duration::Span;
use super::exit::Exit;
use super::failure::Failure;
use super::progress::Progress;

/// How long a program that only looks or tidies up may take in the guest.
pub(crate) const SHORT: Duration = Duration::from_secs(30);

/// What helps a VM that has no channel for an agent.
pub(crate) const NO_CHANNEL: &str = "set `guest_agent = true` in its config and start it again";

/// The line to the agent of a guest, once it has answered.
pub(crate) async fn reach(vm: &Instance, within: Duration, context: &Context) -> Result<Agent, Failure> {
    let progress = Progress::start(context, format!("waiting for the guest agent of {}", vm.name()));
    let reached = vm.wait_agent(within).await;
    progress.finish();
    let name = vm.name();
    match reached {
        Ok(agent) => Ok(agent),
        Err(error @ Error::Missing { .. }) => Err(Failure::from(error).with_help(NO_CHANNEL)),
        Err(Error::Qmp(ClientError::NoAgent { .. } | ClientError::Timeout { .. })) => {
            let text = format!("no guest agent has answered in {name} within {}", Span(within));
            Err(Failure::new(Exit::Failed, text).with_help(format!(
                "the guest needs the package qemu-guest-agent; if it is still booting: `qemuctl wait {name} --for agent`"
            )))
        }
        Err(error) => Err(error.into()),
    }
}

/// What a short program in the guest printed, if it is there and ended well.
pub(crate) async fn ask(agent: &Agent, program: &str, args: &[&str]) -> Option<String> {
    let output = agent.exec(&Exec::with_args(program, args.iter().copied()), SHORT).await.ok()?;
    (output.code == Some(0)).then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
