//! `console`: connects this terminal to a guest's serial console.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::signals::{Asked, Signals};
use super::terminal::{Terminal, read_keys};
use super::vm::Vm;
use super::window::Window;

/// Connect to a VM's serial console
///
/// All keys go to the guest; Ctrl-] leaves the console, and the VM keeps running. If standard input is not a terminal,
/// the console's output is printed until the VM ends. The size of the window is passed to guests that run the guest
/// agent.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// Key that leaves the console, such as ^] or ^A
    #[arg(long, value_name = "KEY", default_value = "^]", value_parser = control_key)]
    escape: u8,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let console = vm.console().await?;
    let mut signals = Signals::listen()?;
    let mut terminal = Terminal::take()?;
    let window = terminal.as_ref().map(|_| Window::follow(&vm));
    if terminal.is_some() {
        let key = char::from(args.escape + b'@');
        // The terminal is raw: a line begins where it is told to.
        context.note(format_args!("console of {}; Ctrl-{key} leaves\r", vm.name()));
    }
    let mut reader = console.reader();
    let mut out = tokio::io::stdout();
    let (mut printed, mut keys) = (vec![0; 4096], vec![0; 1024]);
    let end = loop {
        tokio::select! {
            count = reader.read(&mut printed) => match count? {
                0 => break End::Vm,
                count => {
                    out.write_all(&printed[..count]).await?;
                    out.flush().await?;
                }
            },
            count = read_keys(terminal.as_mut(), &mut keys) => {
                let typed = &keys[..count?];
                let leaves = typed.iter().position(|&key| key == args.escape);
                console.write_all(&typed[..leaves.unwrap_or(typed.len())]).await?;
                if leaves.is_some() || typed.is_empty() {
                    break End::Left;
                }
            }
            // The terminal must not stay raw.
            asked = signals.next() => break End::Asked(asked),
        }
    };
    drop(window);
    drop(terminal);
    Ok(match end {
        End::Vm => {
            let reason = vm.wait().await;
            context.note(format_args!("\n{} has ended: {reason}", vm.name()));
            Exit::Done
        }
        End::Left => {
            context.note(format_args!("\nleft the console of {}, which is still running", vm.name()));
            Exit::Done
        }
        End::Asked(asked) => asked.exit(),
    })
}

/// Why the session ended.
enum End {
    /// The VM has ended.
    Vm,
    /// The escape key was pressed.
    Left,
    /// A signal was received.
    Asked(Asked),
}

/// Parses `^X` into the byte that Ctrl-X sends.
pub(crate) fn control_key(text: &str) -> Result<u8, String> {
    match text.as_bytes() {
        [b'^', key @ b'@'..=b'_'] => Ok(key - b'@'),
        [b'^', key @ b'a'..=b'z'] => Ok(key - b'`'),
        _ => Err("write a control key as ^] or ^A".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::control_key;

    #[test]
    pub(crate) fn control_keys_are_written_with_a_caret() {
        let read = ["^]", "^A", "^a", "^@", "]", "^", "^]]", "^1"].map(|text| control_key(text).ok());
        assert_eq!(read, [Some(0x1d), Some(1), Some(1), Some(0), None, None, None, None]);
    }
}
