//! `pause`, `resume`, `reset` and `kill`: one word to the VM, one word back.

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::vm::Vm;

/// What is done to the VM.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Action {
    Pause,
    Resume,
    Reset,
    Kill,
}

pub(crate) async fn run(vm: &Vm, action: Action, context: &Context) -> Result<Exit, Failure> {
    let instance = vm.attach(context).await?;
    let done = match action {
        Action::Pause => instance.pause().await.map(|()| "is paused".to_owned()),
        Action::Resume => instance.resume().await.map(|()| "runs".to_owned()),
        Action::Reset => instance.reset().await.map(|()| "is reset".to_owned()),
        Action::Kill => instance.kill().await.map(|reason| format!("has ended: {reason}")),
    };
    context.note(format_args!("{} {}", instance.name(), done?));
    Ok(Exit::Done)
}
