//! `console`: a guest's serial console in this terminal.

use std::io::{self, Write};

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::terminal::{Mode, Terminal, read_keys};
use super::vm::Vm;

/// Use a VM's serial console
///
/// Every key goes to the guest. Ctrl-] leaves the console; the VM runs on. If standard input is no terminal, the
/// console is printed until the VM ends.
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
    let mut terminal = Terminal::take(Mode::Raw)?;
    if terminal.is_some() {
        let key = char::from(args.escape + b'@');
        // The terminal is raw: a line begins where it is told to.
        context.note(format_args!("console of {}; Ctrl-{key} leaves\r", vm.name()));
    }
    let mut reader = console.reader();
    let mut out = tokio::io::stdout();
    let (mut printed, mut keys) = (vec![0; 4096], vec![0; 1024]);
    let left = loop {
        tokio::select! {
            count = reader.read(&mut printed) => match count? {
                0 => break false,
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
                    break true;
                }
            }
        }
    };
    drop(terminal);
    io::stdout().flush()?;
    context.note(if left {
        format!("\nleft {}, which runs on", vm.name())
    } else {
        format!("\n{} has ended", vm.name())
    });
    Ok(Exit::Done)
}

/// `^X` as the byte that the Ctrl key makes of X.
fn control_key(text: &str) -> Result<u8, String> {
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
    fn control_keys_are_written_with_a_caret() {
        let read = ["^]", "^A", "^a", "^@", "]", "^", "^]]", "^1"].map(|text| control_key(text).ok());
        assert_eq!(read, [Some(0x1d), Some(1), Some(1), Some(0), None, None, None, None]);
    }
}
