//! `doctor`: checks whether this host can run VMs.

use std::path::PathBuf;

use clap::ValueHint;
use qemu_discovery::doctor::{Subject, Verdict, examine, worst};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::progress::Progress;

/// Check that this host can run VMs, and how to fix what is missing
///
/// Changes nothing. Exits with 1 if VMs cannot run.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// QEMU program, or the directory it is in [default: the one that `run` would use]
    #[arg(long, value_name = "PATH", value_hint = ValueHint::AnyPath)]
    qemu: Option<PathBuf>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let subject = Subject { qemu: args.qemu, socket_dir: Some(context.dir()?) };
    let progress = Progress::start(context, "looking");
    let checks = examine(&subject).await;
    progress.finish();
    let exit = if worst(&checks) == Verdict::Problem { Exit::Failed } else { Exit::Done };
    if context.json {
        context.print_json(&checks)?;
        return Ok(exit);
    }
    for check in &checks {
        context.print_verdict(check.verdict, check.name, &check.detail)?;
        if let Some(remedy) = &check.remedy {
            context.print(format_args!("           {remedy}"))?;
        }
    }
    Ok(exit)
}
