//! Runs a command in the shell on a VM's serial console: waits for its output by a pattern.
//!
//! `console NAME COMMAND`: a running VM of this user's, with a shell on its first serial port.

use std::error::Error;
use std::time::Duration;

use qemuctl::Instance;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [name, command] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: console NAME COMMAND".into());
    };
    let vm = Instance::attach_name(name).await?;
    print!("{}", run(&vm, command).await?);
    Ok(())
}

/// What `command` prints.
///
/// # Errors
///
/// If the VM has no console, or the command does not end within a minute; the error has what was printed instead.
pub async fn run(vm: &Instance, command: &str) -> Result<String, Box<dyn Error>> {
    let console = vm.console().await?;
    // From here on: what was printed before does not match.
    let mut output = console.reader();
    // The marks are put together by the shell, so that its echo of the line does not match.
    console.write_all(format!("echo beg''in; {command}; echo e''nd\n").as_bytes()).await?;
    let patience = Duration::from_secs(60);
    output.expect("(?m)^begin\r?\n", patience).await?;
    Ok(output.expect("(?m)^end\r?\n", patience).await?.before)
}
