//! `run`: a VM in the foreground, from start to end.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::time::Duration;

use qemuctl::{Console, ExitReason, Instance, Ownership};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::console::control_key;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::launch::launch;
use super::machine::MachineArgs;
use super::signals::Signals;
use super::terminal::{Mode, Terminal, read_keys};
use super::window::Window;

/// Run a VM in the foreground, with its serial console here
///
/// FILE is a config file (TOML or JSON) or a disk image. The serial console is on standard output, and on standard
/// input if that is a terminal. Ctrl-C or SIGTERM stops the VM: the guest is asked to shut down and gets --grace to
/// do so. Asked a second time, QEMU quits at once; a third time, it is killed.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    machine: MachineArgs,

    /// How long the guest may take to shut down, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 30)]
    grace: u64,

    /// Neither show the serial console nor read keys for it
    #[arg(long)]
    no_console: bool,

    /// Give the guest every key, Ctrl-C too; this one, such as ^], stops the VM instead
    #[arg(short, long, value_name = "KEY", value_parser = control_key, conflicts_with = "no_console")]
    escape: Option<u8>,
}

/// How long the last words of the console may take to be read.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long a QEMU that was told to quit may take.
const QUIT_WITHIN: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let loaded = args.machine.load()?;
    let mut signals = Signals::listen()?;
    let vm = launch(&loaded, Ownership::Owned, &mut signals, context).await?;
    context.note(format_args!("{} runs as process {}", vm.name(), vm.pid().unwrap_or_default()));
    let console = if args.no_console { None } else { vm.console().await.ok() };
    let mut terminal = match &console {
        Some(_) => Terminal::take(if args.escape.is_some() { Mode::Raw } else { Mode::Keys })?,
        None => None,
    };
    let window = terminal.as_ref().map(|_| Window::follow(&vm));
    let output = console.clone().map(|console| tokio::spawn(copy_out(console)));
    let reason = supervise(&vm, &mut signals, console.as_ref(), &mut terminal, &args, context).await;
    if let Some(output) = output {
        // What nobody reads in time is given up: the VM is gone, and so will be the program.
        let _ = tokio::time::timeout(LAST_WORDS, output).await;
    }
    drop((window, terminal));
    tell(&vm, &reason, context)
}

/// Watches until the VM ends; passes keys on, and asks it to end when asked to.
async fn supervise(
    vm: &Instance,
    signals: &mut Signals,
    console: Option<&Console>,
    terminal: &mut Option<Terminal>,
    args: &Args,
    context: &Context,
) -> ExitReason {
    let mut asked = 0;
    let mut keys = vec![0; 1024];
    loop {
        tokio::select! {
            reason = vm.wait() => return reason,
            signal = signals.next() => {
                asked += 1;
                ask(vm, &signal, asked, args, context);
            }
            read = read_keys(terminal.as_mut(), &mut keys) => {
                let typed = &keys[..read.unwrap_or(0)];
                let escape = typed.iter().position(|&key| Some(key) == args.escape);
                let written = match console {
                    Some(console) if !typed.is_empty() => {
                        console.write_all(&typed[..escape.unwrap_or(typed.len())]).await.is_ok()
                    }
                    _ => false,
                };
                if escape.is_some() {
                    asked += 1;
                    ask(vm, &"escape", asked, args, context);
                }
                if !written {
                    *terminal = None;
                }
            }
        }
    }
}

/// Asks the VM to end, harder each time.
fn ask(vm: &Instance, signal: &dyn Display, asked: u32, args: &Args, context: &Context) {
    let vm = vm.clone();
    match asked {
        1 => {
            let grace = Duration::from_secs(args.grace);
            context.note(format_args!(
                "\r{signal}: asking {} to shut down within {} s; once more to make QEMU quit",
                vm.name(),
                args.grace
            ));
            // How it ended is told by the wait; a step that fails leads to the next.
            tokio::spawn(async move { drop(vm.stop(grace).await) });
        }
        2 => {
            context.note(format_args!("\r{signal}: telling QEMU to quit; once more to kill it"));
            tokio::spawn(async move { drop(vm.quit(QUIT_WITHIN).await) });
        }
        _ => {
            context.note(format_args!("\r{signal}: killing QEMU"));
            tokio::spawn(async move { drop(vm.kill().await) });
        }
    }
}

/// Copies what the guest prints to standard output until the VM ends.
async fn copy_out(console: Console) -> io::Result<()> {
    let mut reader = console.reader_with_history();
    let mut out = tokio::io::stdout();
    let mut buffer = vec![0; 4096];
    loop {
        let count = reader.read(&mut buffer).await?;
        if count == 0 {
            return Ok(());
        }
        out.write_all(&buffer[..count]).await?;
        out.flush().await?;
    }
}

/// Tells why the VM ended.
fn tell(vm: &Instance, reason: &ExitReason, context: &Context) -> Result<Exit, Failure> {
    let exit = Exit::of(reason);
    let name = vm.name();
    let start = if io::stderr().is_terminal() { "\r" } else { "" };
    if exit == Exit::Done {
        context.note(format_args!("{start}{name}: {reason}"));
        return Ok(exit);
    }
    let mut message = format!("{name}: {reason}");
    for line in vm.output() {
        message = format!("{message}\n  {line}");
    }
    Err(Failure::new(exit, message))
}
