//! `check`: everything that is wrong with a config, without starting anything.

use qemu_argv::{Endpoints, plan};
use qemuctl::launch::Qemu;
use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::loaded::{LoadError, Problem};
use super::machine::MachineArgs;

/// Check a config without starting anything
///
/// Everything that is wrong is told at once: in the text, in the machine for the QEMU that is installed here, and files
/// that are not there. The exit code is 4 if anything is.
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
    let loaded = match args.machine.load() {
        Ok(loaded) => loaded,
        Err(LoadError::Other(failure)) => return Err(failure),
        Err(LoadError::Config(faults)) => {
            return report(faults.into_iter().map(Problem::from).collect(), Vec::new(), context);
        }
    };
    let mut problems = loaded.missing_files();
    let qemu = Qemu::find(&loaded.config).await?;
    let planned = plan(&loaded.config, &qemu.target, &Endpoints::default());
    if let Err(error) = planned {
        let found = error.problems.iter();
        problems.extend(found.map(|problem| loaded.problem(&problem.path, problem.fault.to_string(), None)));
    }
    problems.sort_by(|one, other| one.place.cmp(&other.place));
    let exit = report(problems, qemu.warning.into_iter().collect(), context)?;
    context.note(format_args!(
        "valid for QEMU {} ({}), {}: {}",
        qemu.target.version,
        qemu.program.display(),
        qemu.target.arch,
        qemu.why
    ));
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
