//! `pause`, `resume`, `reset` and `wake`.

use qemuctl::State;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::vm::Vm;

/// One of the four commands.
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
        // A VM that was paused before the reset is paused after it.
        (Action::Reset, State::Prelaunch | State::Paused) => {
            context.note(format_args!("{done} {name}; it is paused, run `qemuctl resume {name}`"));
        }
        _ => context.note(format_args!("{done} {name}")),
    }
    Ok(Exit::Done)
}
