//! `image`: disk images that are not in use by a running VM.

mod inspect;
mod make;
pub(super) mod pull;
mod shown;
mod source;

use qemuctl::image::{ImageError, QemuImg};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;

/// Create, inspect, resize, copy and convert disk images
///
/// Runs qemu-img with safe settings: formats are never guessed, a new image appears only when it is complete, and an
/// image that a VM is using is refused.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    Create(make::Create),
    Info(inspect::Info),
    Check(inspect::Check),
    Resize(make::Resize),
    Convert(make::Convert),
    Copy(make::Copy),
    Commit(make::Commit),
    Rebase(make::Rebase),
    Map(inspect::Map),
    Measure(inspect::Measure),
    Compare(inspect::Compare),
    Pull(pull::Pull),
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    if let Action::Pull(args) = args.action {
        return pull::run(args, context).await;
    }
    let tool = QemuImg::find()?;
    match args.action {
        Action::Create(args) => make::create(args, &tool, context).await,
        Action::Info(args) => inspect::info(args, &tool, context).await,
        Action::Check(args) => inspect::check(args, &tool, context).await,
        Action::Resize(args) => make::resize(args, &tool, context).await,
        Action::Convert(args) => make::convert(args, &tool, context).await,
        Action::Copy(args) => make::copy(args, &tool, context).await,
        Action::Commit(args) => make::commit(args, &tool, context).await,
        Action::Rebase(args) => make::rebase(args, &tool, context).await,
        Action::Map(args) => inspect::map(args, &tool, context).await,
        Action::Measure(args) => inspect::measure(args, &tool, context).await,
        Action::Compare(args) => inspect::compare(args, &tool, context).await,
        Action::Pull(args) => pull::run(args, context).await,
    }
}

impl From<ImageError> for Failure {
    fn from(error: ImageError) -> Self {
        let exit = match &error {
            ImageError::NoFormat { .. } => Exit::Usage,
            _ => Exit::Failed,
        };
        let help = match &error {
            ImageError::NoFormat { .. } => "give it with --format, such as `--format raw`",
            ImageError::Exists { .. } => "use --force to replace it",
            ImageError::WouldShrink { .. } => "use --shrink to do it anyway",
            ImageError::InUse { .. } => "stop the VM, or use `qemuctl block` to change a running one",
            _ => return Self::of(exit, &error),
        };
        Self::of(exit, &error).with_help(help)
    }
}
