//! `rm`: removes machines.

use clap_complete::ArgValueCompleter;

use super::super::complete;
use super::super::confirm::is_sure;
use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;

/// Remove stopped machines and their disks
///
/// Images outside the machines' folders are not touched.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Machine names
    #[arg(value_name = "NAME", required = true, add = ArgValueCompleter::new(complete::machine_names))]
    names: Vec<String>,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,

    /// Keep the disk images
    #[arg(long)]
    keep_disks: bool,
}

#[expect(clippy::unused_async, reason = "as all commands that do something")]
pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    // Remove nothing if one of them does not exist.
    let machines: Vec<_> = args.names.iter().map(|name| super::machine(name)).collect::<Result<_, _>>()?;
    for machine in machines {
        // Refuse a running machine before asking for confirmation.
        drop(machine.hold()?);
        let disks = if args.keep_disks { "" } else { " and its disks" };
        if !args.yes && !is_sure(&format!("remove {}{disks}", machine.name()))? {
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
