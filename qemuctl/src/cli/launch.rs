//! The launch of a VM, as `run` and `start` have it in common.

use std::pin::pin;

use qemuctl::{Instance, LaunchOptions, Ownership, Phase};
use tokio::sync::watch;

use super::context::Context;
use super::failure::Failure;
use super::loaded::Loaded;
use super::progress::Progress;
use super::signals::Signals;

/// Launches a VM, shows the way there, and tells what may surprise. A signal gives the launch up.
pub(crate) async fn launch(
    loaded: &Loaded,
    ownership: Ownership,
    signals: &mut Signals,
    context: &Context,
) -> Result<Instance, Failure> {
    loaded.check_files()?;
    let (phase, mut phases) = watch::channel(Phase::Prepare);
    let options =
        LaunchOptions { socket_dir: context.chosen_dir(), phase: Some(phase), ..LaunchOptions::default() };
    let name = loaded.config.name.as_deref().unwrap_or("the VM");
    let progress = Progress::start(context, format!("starting {name}: {}", Phase::Prepare));
    let start = async {
        match ownership {
            Ownership::Detached => Instance::start_detached(&loaded.config, &options).await,
            _ => Instance::start_with(&loaded.config, &options).await,
        }
    };
    let mut start = pin!(start);
    let vm = loop {
        tokio::select! {
            vm = &mut start => break vm.map_err(|error| loaded.explain_launch(error))?,
            // Dropping the launch leaves nothing behind.
            asked = signals.next() => return Err(asked.failure("the launch")),
            Ok(()) = phases.changed() => {
                let phase = *phases.borrow_and_update();
                progress.say(format!("starting {name}: {phase}"));
            }
        }
    };
    progress.finish();
    for warning in vm.warnings() {
        context.warn(warning);
    }
    Ok(vm)
}
