//! `restart`: shuts a machine down and starts it again.

use std::ffi::OsString;

use super::super::context::Context;
use super::super::duration::Span;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::keeper;
use super::super::stop::shut_down;
use super::super::vm::Vm;
use super::Named;

/// Shut a machine down and start it again
///
/// Changes made by `set` or `edit` take effect. A stopped machine is started.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    named: Named,

    /// How long to wait for the guest to shut down; QEMU is stopped after that
    #[arg(short, long, value_name = "DURATION", default_value = "60s")]
    timeout: Span,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let machine = args.named.machine()?;
    // Report an invalid config before the machine is stopped.
    machine.config()?;
    if let Some(record) = machine.status()?.record() {
        let vm = Vm::named(record.socket.display().to_string());
        super::for_good(machine.name(), Box::pin(shut_down(&vm, args.timeout, context))).await?;
    }
    let arguments = ["start", machine.name()].map(OsString::from).to_vec();
    keeper::start(&machine, arguments, context).await
}
