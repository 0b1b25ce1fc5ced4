//! `rename`: renames a machine.

use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::Named;

/// Rename a stopped machine
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    named: Named,

    /// New name
    new: String,
}

pub(crate) fn run(args: &Args, context: &Context) -> Result<Exit, Failure> {
    let machine = args.named.machine()?;
    machine.rename(&args.new)?;
    context.note(format_args!("renamed {} to {}", machine.name(), args.new));
    Ok(Exit::Done)
}
