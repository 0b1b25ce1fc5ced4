//! `topology`: draws the buses of a VM.

mod picture;
mod svg;
#[cfg(test)]
mod tests;
mod text;

use std::path::PathBuf;

use clap::ValueHint;
use qemu_argv::{Endpoints, plan};
use qemuctl::launch::Qemu;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::machine::MachineArgs;
use picture::Picture;

/// Draw a VM's buses and devices
///
/// The tree shows the board's own devices, root ports and the devices behind them, controllers with their disks and
/// ports, and the free hotplug ports.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    machine: MachineArgs,

    /// Write an SVG image to this file instead
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    svg: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let loaded = args.machine.load()?;
    let qemu = Qemu::find(&loaded.config).await?;
    if let Some(warning) = &qemu.warning {
        context.warn(warning);
    }
    let endpoints = Endpoints { qmp_fd: Some(0), ..Endpoints::default() };
    let config = loaded.complete(&qemu)?;
    let plan = plan(&config, &qemu.target, &endpoints).map_err(|error| loaded.explain(&error))?;
    if let Some(path) = &args.svg {
        let written = std::fs::write(path, svg::draw(&Picture::of(&plan)));
        written.map_err(|error| {
            Failure::from(std::io::Error::new(error.kind(), format!("{}: {error}", path.display())))
        })?;
        context.note(format_args!("wrote {}", path.display()));
    } else if context.json {
        context.print_json(plan.topology())?;
    } else {
        context.print(text::draw(&Picture::of(&plan)))?;
    }
    Ok(Exit::Done)
}
