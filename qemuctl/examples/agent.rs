//! Runs a program in the guest through the guest agent, with its output as it comes, its exit code and a limit.
//!
//! `agent NAME PROGRAM [ARGUMENT…]`: a running VM of this user's, with a guest agent.

use std::error::Error;
use std::io::Write;
use std::time::Duration;

use qemuctl::guest::Output;
use qemuctl::{Exec, Instance};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let arguments: Vec<_> = std::env::args().skip(1).collect();
    let [name, program, arguments @ ..] = &arguments[..] else {
        return Err("usage: agent NAME PROGRAM [ARGUMENT…]".into());
    };
    let vm = Instance::attach_name(name).await?;
    let show = |piece: Output| {
        let _ = match piece {
            Output::Stdout(bytes) => std::io::stdout().write_all(&bytes),
            Output::Stderr(bytes) => std::io::stderr().write_all(&bytes),
        };
    };
    let code = run(&vm, &Exec::with_args(program, arguments), show).await?;
    std::process::exit(code.unwrap_or(1));
}

/// The program's exit code; `None` if a signal ended it.
///
/// # Errors
///
/// If the agent does not answer within two minutes, which a guest may need to boot, or the program cannot be started or
/// has not ended after ten minutes; it is killed then.
pub async fn run(
    vm: &Instance,
    exec: &Exec,
    show: impl FnMut(Output) + Send,
) -> Result<Option<i32>, qemuctl::Error> {
    vm.wait_agent(Duration::from_secs(120)).await?;
    let output = vm.exec_streamed(exec, Duration::from_secs(600), show).await?;
    Ok(output.code)
}
