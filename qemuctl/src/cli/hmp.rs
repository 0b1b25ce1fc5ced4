//! `hmp`: one command of the human monitor.

use qmp_proto::HumanMonitorCommand;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::vm::Vm;

/// Run a command of QEMU's human monitor and print what it says
///
/// For example `qemuctl hmp web info network`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// The command
    #[arg(required = true, trailing_var_arg = true, allow_hyphen_values = true)]
    command: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let command = HumanMonitorCommand::new(args.command.join(" "));
    let said = vm.execute(command).await?.replace('\r', "");
    context.show(&said, said.trim_end())?;
    Ok(Exit::Done)
}
