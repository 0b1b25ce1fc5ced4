//! `console`: a guest's serial console in this terminal.

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::signals::{Asked, Signals};
use super::terminal::{Terminal, read_keys};
use super::vm::Vm;
use super::window::Window;

/// Use a VM's serial console
///
/// Every key goes to the guest. Ctrl-] leaves the console; the VM runs on. If standard input is no terminal, the
/// console is printed until the VM ends. A guest with an agent is told the size of the window.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// The key that leaves, such as ^] or ^A
    #[arg(short, long, value_name = "KEY", default_value = "^]", value_parser = control_key)]
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
            context.note(format_args!("\nleft {}, which runs on", vm.name()));
            Exit::Done
        }
        End::Asked(asked) => asked.exit(),
    })
}

/// Why the console is left.
enum End {
    /// The VM has ended.
    Vm,
    /// Somebody pressed the key.
    Left,
    /// A signal came.
    Asked(Asked),
}

/// `^X` as the byte that the Ctrl key makes of X.
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
