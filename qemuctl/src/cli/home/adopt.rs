//! `adopt`: a new keeper for a machine that has lost its own.

use std::ffi::OsString;

use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::keeper;
use super::super::machine::MachineOptions;
use super::Named;

/// Put a new keeper beside a running machine whose keeper was killed
///
/// The machine goes on all the while. Of an end that nobody has seen only that can be known that it came.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    named: Named,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    if context.keeper_of.is_some() {
        let load = || MachineOptions::default().load(Some(args.named.name.as_ref()));
        return Ok(keeper::adopt(load, context).await);
    }
    let machine = args.named.machine()?;
    if machine.status()?.record().is_none() {
        return Err(Failure::new(Exit::NotFound, format!("{} does not run", machine.name()))
            .with_help(format!("`qemuctl start {}` starts it", machine.name())));
    }
    let arguments = ["adopt", machine.name()].map(OsString::from).to_vec();
    keeper::start(&machine, arguments, context).await
}
