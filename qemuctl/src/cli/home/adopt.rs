//! `adopt`: starts a new keeper for a running machine.

use std::ffi::OsString;

use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::keeper;
use super::super::machine::MachineOptions;
use super::Named;

/// Start a new keeper for a running machine whose keeper was killed
///
/// The machine keeps running. The keeper records events and how the VM ends, and applies the restart policy; without
/// one, the exit reason is lost.
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
        return Err(Failure::new(Exit::NotFound, format!("{} is not running", machine.name()))
            .with_help(format!("start it with `qemuctl start {}`", machine.name())));
    }
    let arguments = ["adopt", machine.name()].map(OsString::from).to_vec();
    keeper::start(&machine, arguments, context).await
}
