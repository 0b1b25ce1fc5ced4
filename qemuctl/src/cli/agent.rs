//! Access to the guest agent for the commands that work inside a guest.

use std::time::Duration;

use qemuctl::qmp_client::agent::{Agent, Exec};
use qemuctl::{Error, Instance, qmp_client::ClientError};

use super::context::Context;
use super::duration::Span;
use super::exit::Exit;
use super::failure::Failure;
use super::progress::Progress;

/// Timeout of the small helper programs that are run in the guest.
pub(crate) const SHORT: Duration = Duration::from_secs(30);

/// Advice for a VM without an agent channel.
pub(crate) const NO_CHANNEL: &str = "set `guest_agent = true` in its config and start it again";

/// Connects to the guest agent and waits for its first answer.
pub(crate) async fn reach(vm: &Instance, within: Duration, context: &Context) -> Result<Agent, Failure> {
    let progress = Progress::start(context, format!("waiting for the guest agent of {}", vm.name()));
    let reached = vm.wait_agent(within).await;
    progress.finish();
    let name = vm.name();
    match reached {
        Ok(agent) => Ok(agent),
        Err(error @ Error::Missing { .. }) => Err(Failure::from(error).with_help(NO_CHANNEL)),
        Err(Error::Qmp(ClientError::NoAgent { .. } | ClientError::Timeout { .. })) => {
            let text = format!("the guest agent of {name} did not answer within {}", Span(within));
            Err(Failure::new(Exit::Failed, text).with_help(format!(
                "install the package qemu-guest-agent in the guest; if it is still booting, run `qemuctl wait {name} --for agent`"
            )))
        }
        Err(error) => Err(error.into()),
    }
}

/// Returns the output of a short program in the guest, if it exists and succeeded.
pub(crate) async fn ask(agent: &Agent, program: &str, args: &[&str]) -> Option<String> {
    let output = agent.exec(&Exec::with_args(program, args.iter().copied()), SHORT).await.ok()?;
    (output.code == Some(0)).then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}
