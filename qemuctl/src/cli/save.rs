//! `save` and `restore`: a machine's memory in a file, to go on later where it was.

use std::path::PathBuf;

use clap::ValueHint;
use qemuctl::{Instance, LaunchOptions, SavedState};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::home;
use super::progress::Progress;
use super::started::Started;
use super::table::size;
use super::vm::Vm;
use super::ways::Ways;

/// Save the memory of a VM to a file, and end the VM
///
/// A machine that was created with `create` goes on where it was when it is started again. For others, and with FILE,
/// `qemuctl restore FILE` does that. The disks stay where they are, and must not be changed in between.
#[derive(clap::Args, Debug)]
pub(crate) struct Save {
    #[command(flatten)]
    vm: Vm,

    /// File to create [default: in the machine's folder]
    #[arg(value_hint = ValueHint::FilePath)]
    file: Option<PathBuf>,

    /// Remove the saved state of a machine instead, so that it boots when it is started
    #[arg(long, conflicts_with = "file")]
    discard: bool,
}

/// Start a saved VM where it was
///
/// The VM runs in the background, like one that was started with `start`.
#[derive(clap::Args, Debug)]
pub(crate) struct Restore {
    /// File that `save` has created
    #[arg(value_hint = ValueHint::FilePath)]
    file: PathBuf,
}

pub(crate) async fn save(args: Save, context: &Context) -> Result<Exit, Failure> {
    let name = args.vm.typed();
    if args.discard {
        let machine = home::machine(name)?;
        let words = if machine.discard_saved()? { "discarded" } else { "there is no" };
        context.note(format_args!("{words} saved state of {name}"));
        return Ok(Exit::Done);
    }
    let file = match (args.file, home::kept(name)) {
        (Some(file), _) => file,
        (None, Some(machine)) => machine.saved_path(),
        (None, None) => {
            // A VM that does not run is what is wrong first.
            drop(args.vm.attach(context).await?);
            let text = format!("{name} is not a machine that was created with `create`, so it has no folder");
            return Err(Failure::new(Exit::Usage, text).with_help("name a file to save it to"));
        }
    };
    let saving = async {
        let vm = args.vm.attach(context).await?;
        let progress = Progress::start(context, format!("saving {}", vm.name()));
        let saved = vm.save(&file, |_, _| ()).await?;
        progress.finish();
        Ok(saved)
    };
    let saved = home::for_good(name, Box::pin(saving)).await?;
    context.note(format_args!(
        "saved {} to {} ({})",
        saved.name(),
        saved.path().display(),
        size(saved.bytes())
    ));
    Ok(Exit::Done)
}

pub(crate) async fn restore(args: Restore, context: &Context) -> Result<Exit, Failure> {
    let saved = SavedState::open(&args.file)?;
    let config = saved.config().clone();
    let options = LaunchOptions { resume: Some(saved), ..LaunchOptions::default() };
    let progress = Progress::start(context, "loading the saved state".to_owned());
    let vm = Instance::start_detached(&config, &options).await?;
    progress.finish();
    let ways = Ways::of(&vm).await;
    if context.json {
        context.print_json(&Started::new(&vm, &ways, vm.exit().as_ref()))?;
    } else {
        context.note(format_args!("restored {} (process {})", vm.name(), vm.pid().unwrap_or_default()));
        ways.tell(context);
    }
    Ok(Exit::Done)
}
