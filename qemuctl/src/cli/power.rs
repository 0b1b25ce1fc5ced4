//! `pause`, `resume`, `reset` and `wake`: one word to the VM, one word back.

use qemuctl::State;

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
    let vm = vm.attach(context).await?;
    let done = match action {
        Action::Pause => {
            vm.pause().await?;
            "paused"
        }
        Action::Resume => {
            vm.resume().await?;
            "resumed"
        }
        Action::Reset => {
            vm.reset().await?;
            "reset"
        }
        Action::Wake => {
            vm.wake().await?;
            "woke"
        }
    };
    let name = vm.name();
    match (action, vm.state()) {
        // What was stopped before the reset is so after it.
        (Action::Reset, State::Prelaunch | State::Paused) => {
            context.note(format_args!("{done} {name}; it waits for `qemuctl resume {name}`"));
        }
        _ => context.note(format_args!("{done} {name}")),
    }
    Ok(Exit::Done)
}
