//! `kill`: ends a VM in any state.

use qemuctl::Error;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::home;
use super::vm::{Vm, Vms};

/// Kill a VM at once, like a power cut
///
/// Works even if QEMU hangs or all of its monitors are in use.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vms: Vms,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let kills = args.vms.chosen(context)?.into_iter().map(|vm| {
        let context = context.clone();
        tokio::spawn(async move { home::for_good(vm.typed(), Box::pin(kill(&vm, &context))).await })
    });
    super::vm::all(kills.collect(), context).await
}

async fn kill(vm: &Vm, context: &Context) -> Result<Exit, Failure> {
    let Some(record) = vm.record(context)? else {
        // Not started by qemuctl, or gone: ask the monitor.
        let vm = vm.attach(context).await?;
        let reason = vm.kill().await?;
        context.note(format_args!("{} has ended: {reason}", vm.name()));
        return Ok(Exit::Done);
    };
    record.kill().map_err(|error| match error {
        Error::Timeout { .. } => Failure::new(
            Exit::TimedOut,
            format!(
                "killed {}, but process {} has not ended: it hangs in the kernel",
                record.name, record.pid
            ),
        ),
        error => error.into(),
    })?;
    context.note(format_args!("killed {}", record.name));
    Ok(Exit::Done)
}
