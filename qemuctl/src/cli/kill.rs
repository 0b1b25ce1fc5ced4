//! `kill`: ends a VM whatever state it is in.

use qemuctl::Error;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::home;
use super::vm::{Vm, Vms};

/// End a VM at once, as a power cut would
///
/// Works also when QEMU hangs or another program has its monitor.
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
        // Not ours, or not there: the monitor knows.
        let vm = vm.attach(context).await?;
        let reason = vm.kill().await?;
        context.note(format_args!("{} has ended: {reason}", vm.name()));
        return Ok(Exit::Done);
    };
    record.kill().map_err(|error| match error {
        Error::Timeout { .. } => Failure::new(
            Exit::TimedOut,
            format!(
                "{} is killed, but hangs in the kernel: process {} is still there",
                record.name, record.pid
            ),
        ),
        error => error.into(),
    })?;
    context.note(format_args!("{} is killed", record.name));
    Ok(Exit::Done)
}
