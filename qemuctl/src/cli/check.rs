//! `check`: reports all problems of a config without starting anything.

use qemu_argv::{Endpoints, plan};
use qemuctl::Error;
use qemuctl::launch::{Qemu, check_board};
use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::loaded::Problem;
use super::machine::MachineArgs;

/// Check a config without starting anything
///
/// Reports all problems at once: syntax, devices and options that the installed QEMU does not support, and missing
/// files. Exits with 4 if there are any.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    machine: MachineArgs,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    valid: bool,
    problems: Vec<Problem>,
    warnings: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let loaded = args.machine.load_in_part()?;
    let mut problems: Vec<Problem> = loaded.faults().iter().cloned().map(Problem::from).collect();
    if !loaded.has_rest() {
        return report(problems, Vec::new(), context);
    }
    problems.extend(loaded.missing_files());
    let qemu = match Qemu::find(&loaded.config).await {
        Ok(qemu) => qemu,
        // Problems of the text come first.
        Err(_) if !problems.is_empty() => return report(problems, Vec::new(), context),
        Err(error) => return Err(error.into()),
    };
    let planned = match loaded.complete(&qemu) {
        Ok(config) => plan(&config, &qemu.target, &Endpoints { qmp_fd: Some(0), ..Endpoints::default() }),
        Err(_) if !problems.is_empty() => return report(problems, Vec::new(), context),
        Err(failure) => return Err(failure),
    };
    match planned {
        Ok(plan) => match check_board(&qemu, &loaded.config, &plan).await {
            Ok(()) => {}
            Err(Error::Plan(error)) => problems.extend(loaded.problems_of(&error)),
            Err(error) => return Err(error.into()),
        },
        Err(error) => problems.extend(loaded.problems_of(&error)),
    }
    problems.sort_by(|one, other| one.place.cmp(&other.place));
    let exit = report(problems, qemu.warning.into_iter().collect(), context)?;
    let (version, accelerator) = (qemu.target.version, qemu.target.accel.qemu_name().to_uppercase());
    context.note(format_args!("OK for QEMU {version} ({}, {accelerator})", qemu.target.arch));
    context.detail(format_args!("{}: {}", qemu.program.display(), qemu.why));
    Ok(exit)
}

fn report(problems: Vec<Problem>, warnings: Vec<String>, context: &Context) -> Result<Exit, Failure> {
    for warning in &warnings {
        context.warn(warning);
    }
    let text: Vec<_> = problems.iter().map(|problem| problem.text.clone()).collect();
    let valid = problems.is_empty();
    if context.json {
        context.print_json(&Report { valid, problems, warnings })?;
        return if valid { Ok(Exit::Done) } else { Err(Failure::silent(Exit::BadConfig)) };
    }
    if valid { Ok(Exit::Done) } else { Err(Failure::new(Exit::BadConfig, text.join("\n"))) }
}
