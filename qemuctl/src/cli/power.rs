//! `pause`, `resume`, `reset` and `wake`: one word to the VM, one word back.

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
    Wake,
}

pub(crate) async fn run(vm: &Vm, action: Action, context: &Context) -> Result<Exit, Failure> {
    let instance = vm.attach(context).await?;
    let (done, words) = match action {
        Action::Pause => (instance.pause().await, "is paused"),
        Action::Resume => (instance.resume().await, "runs"),
        Action::Reset => (instance.reset().await, "is reset"),
        Action::Wake => (instance.wake().await, "is woken"),
    };
    done?;
    context.note(format_args!("{} {words}", instance.name()));
    Ok(Exit::Done)
}
