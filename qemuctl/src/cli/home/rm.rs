//! `rm`: machines that are not needed any more.

use std::io::{self, IsTerminal, Write};

use clap_complete::ArgValueCompleter;
use qemuctl::home::StoredMachine;

use super::super::complete;
use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;

/// Remove machines, with their disks
///
/// Images that are not in a machine's folder are left alone.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The machines' names
    #[arg(value_name = "NAME", required = true, add = ArgValueCompleter::new(complete::machine_names))]
    names: Vec<String>,

    /// Ask nothing
    #[arg(short, long)]
    yes: bool,

    /// Keep the images in the machine's folder
    #[arg(long)]
    keep_disks: bool,
}

#[expect(clippy::unused_async, reason = "as all commands that do something")]
pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    // Nothing is removed if one of them is not there.
    let machines: Vec<_> = args.names.iter().map(|name| super::machine(name)).collect::<Result<_, _>>()?;
    for machine in machines {
        // Refused before anybody is asked.
        drop(machine.hold()?);
        if !args.yes && !is_sure(&machine, args.keep_disks)? {
            context.note(format_args!("kept {}", machine.name()));
            continue;
        }
        match machine.remove(args.keep_disks)? {
            Some(disks) => {
                context.note(format_args!(
                    "removed {}; its disks are in {}",
                    machine.name(),
                    disks.display()
                ));
            }
            None => context.note(format_args!("removed {}", machine.name())),
        }
    }
    Ok(Exit::Done)
}

/// Asks on the terminal.
fn is_sure(machine: &StoredMachine, keep_disks: bool) -> Result<bool, Failure> {
    if !io::stdin().is_terminal() {
        let text =
            format!("removing {} needs a confirmation, and standard input is no terminal", machine.name());
        return Err(Failure::new(Exit::Usage, text).with_help("confirm with --yes"));
    }
    let disks = if keep_disks { "" } else { " and its disks" };
    let mut out = io::stderr().lock();
    write!(out, "remove {}{disks}? [y/N] ", machine.name())?;
    out.flush()?;
    let mut answer = String::new();
    io::stdin().read_line(&mut answer)?;
    Ok(["y", "yes"].contains(&answer.trim().to_ascii_lowercase().as_str()))
}
