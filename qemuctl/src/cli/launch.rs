//! Launches a VM, for `run` and `start`.

use std::path::PathBuf;
use std::pin::pin;

use qemuctl::runtime::{default_socket_dir, sweep};
use qemuctl::{Instance, LaunchOptions, Ownership, error::Phase};
use tokio::sync::watch;

use super::context::Context;
use super::failure::Failure;
use super::loaded::Loaded;
use super::progress::Progress;
use super::signals::Signals;

/// Launches a VM, showing progress and warnings. A signal cancels the launch.
pub(crate) async fn launch(
    loaded: &Loaded,
    ownership: Ownership,
    options: LaunchOptions,
    signals: &mut Signals,
    context: &Context,
) -> Result<Instance, Failure> {
    loaded.check_files()?;
    if let Ok(dir) = socket_dir(loaded, context) {
        // The launch itself reports problems of the directory.
        context.tell_ended(&sweep(&dir).unwrap_or_default());
    }
    let (phase, mut phases) = watch::channel(Phase::Prepare);
    let options = LaunchOptions {
        socket_dir: context.chosen_dir(),
        config_file: loaded.path().map(|path| std::path::absolute(path).unwrap_or_else(|_| path.to_owned())),
        phase: Some(phase),
        ..options
    };
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

/// Returns the directory of the VM's sockets.
pub(crate) fn socket_dir(loaded: &Loaded, context: &Context) -> Result<PathBuf, Failure> {
    let dir = context.chosen_dir().or_else(|| loaded.config.socket_dir.clone());
    match dir {
        Some(dir) => Ok(std::path::absolute(dir)?),
        None => Ok(default_socket_dir()?),
    }
}
