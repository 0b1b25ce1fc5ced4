//! `run`: a VM in the foreground, from start to end.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::time::Duration;

use qemuctl::home::StoredMachine;
use qemuctl::{Console, GuestAnswer, Instance, LaunchOptions, Ownership, StopOutcome};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::console::control_key;
use super::context::Context;
use super::duration::Span;
use super::exit::Exit;
use super::failure::Failure;
use super::launch::{launch, socket_dir};
use super::machine::MachineArgs;
use super::menu::{Choice, Menu};
use super::signals::Signals;
use super::stop::disobeyed;
use super::terminal::{Terminal, read_keys};
use super::ways::Ways;
use super::window::Window;

/// Run a VM in the foreground, with its serial console here
///
/// FILE is a config file (TOML or JSON) or a disk image. The serial console is on standard output. On a terminal the guest
/// gets every key, Ctrl-C too; Ctrl-] opens a menu to stop or kill the VM. SIGTERM, or Ctrl-C without a console, stops the
/// VM: the guest is asked to shut down and gets --grace to do so, twice that if it shows that it is shutting down; if it does
/// not, QEMU is stopped, and the exit code is 6. Asked a second time, QEMU quits at once; a third time, it is killed.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    machine: MachineArgs,

    /// How long the guest may take to shut down
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    grace: Span,

    /// Neither show the serial console nor read keys for it
    #[arg(long)]
    no_console: bool,

    /// The key that opens the menu, such as ^] or ^A
    #[arg(short, long, value_name = "KEY", default_value = "^]", value_parser = control_key, conflicts_with = "no_console")]
    escape: u8,
}

/// How long the last words of the console may take to be read.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long QEMU may take to accept what was typed; what comes later is lost, as on a real serial line.
const TYPED: Duration = Duration::from_secs(1);

/// How long a QEMU that was told to quit may take.
const QUIT_WITHIN: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let mut loaded = args.machine.load()?;
    let mut signals = Signals::listen()?;
    let mut options = LaunchOptions::default();
    let mut hold = loaded.machine().map(StoredMachine::hold).transpose()?;
    if let Some(hold) = &mut hold {
        hold.prepare(&mut loaded.config, &mut options);
        hold.begin(&socket_dir(&loaded, context)?)?;
    }
    let launched = launch(&loaded, Ownership::Owned, options, &mut signals, context).await;
    if let (Err(failure), Some(hold)) = (&launched, &mut hold) {
        hold.failed(&failure.message)?;
    }
    let vm = launched?;
    if let Some(hold) = &mut hold {
        hold.started(vm.pid());
    }
    if !context.quiet {
        Ways::of(&vm).await.tell(context);
    }
    let console = if args.no_console { None } else { vm.console().await.ok() };
    let mut terminal = match &console {
        Some(_) => Terminal::take()?,
        None => None,
    };
    let hint = match &terminal {
        Some(_) => format!("; {} opens a menu", Menu::new(args.escape).key()),
        None => String::new(),
    };
    let pid = vm.pid().unwrap_or_default();
    say(terminal.is_some(), context, &format!("{} runs as process {pid}{hint}", vm.name()));
    let window = terminal.as_ref().map(|_| Window::follow(&vm));
    let output = console.clone().map(|console| tokio::spawn(copy_out(console)));
    let (ended, stopped) =
        supervise(&vm, &mut signals, console.as_ref(), &mut terminal, &args, context).await;
    if let Some(output) = output {
        // What nobody reads in time is given up: the VM is gone, and so will be the program.
        let _ = tokio::time::timeout(LAST_WORDS, output).await;
    }
    drop((window, terminal));
    if let Some(hold) = &mut hold {
        hold.ended(&ended)?;
        hold.machine().cut_logs();
    }
    match stopped {
        Some(outcome) if outcome.guest == GuestAnswer::Ignored => Err(disobeyed(vm.name(), &outcome)),
        _ => tell(&vm, &ended, context),
    }
}

/// Watches until the VM ends; passes keys on, and asks it to end when asked to.
async fn supervise(
    vm: &Instance,
    signals: &mut Signals,
    console: Option<&Console>,
    terminal: &mut Option<Terminal>,
    args: &Args,
    context: &Context,
) -> (qemuctl::Exit, Option<StopOutcome>) {
    let mut asked = 0;
    let mut stopping = None;
    let mut menu = Menu::new(args.escape);
    let mut keys = vec![0; 1024];
    loop {
        let mut choices = Vec::new();
        tokio::select! {
            ended = vm.wait_exit() => return (ended, told(stopping).await),
            signal = signals.next() => {
                asked += 1;
                stopping = ask(vm, Some(&signal), asked, terminal.is_some(), args, context);
            }
            read = read_keys(terminal.as_mut(), &mut keys) => match read.unwrap_or(0) {
                0 => *terminal = None,
                count => choices = menu.read(&keys[..count]),
            },
        }
        for choice in choices {
            let tell = |text: &str| say(true, context, text);
            match (choice, console) {
                (Choice::Type(text), Some(console)) => {
                    // A guest that reads nothing must not keep the menu away.
                    let written = tokio::time::timeout(TYPED, console.write_all(text)).await;
                    if matches!(written, Ok(Err(_))) {
                        *terminal = None;
                    }
                }
                (Choice::Open, _) => tell(&format!("\n\r{}", menu.line(vm.name()))),
                (Choice::Help, _) => menu.help().iter().for_each(|line| tell(line)),
                (Choice::Stop, _) => {
                    asked += 1;
                    stopping = ask(vm, None, asked, true, args, context);
                }
                (Choice::Kill, _) => {
                    asked = asked.max(2) + 1;
                    stopping = ask(vm, None, asked, true, args, context);
                }
                (Choice::Type(_) | Choice::Continue, _) => {}
            }
        }
    }
}

/// What became of the guest that was asked to shut down, if nothing harder was asked for since.
async fn told(stopping: Option<Stopping>) -> Option<StopOutcome> {
    tokio::time::timeout(LAST_WORDS, stopping?).await.ok()?.ok()?
}

/// A guest that was asked to shut down.
type Stopping = JoinHandle<Option<StopOutcome>>;

/// Tells something. A raw terminal begins a line where it is told to.
fn say(raw: bool, context: &Context, text: &str) {
    if raw { context.note(format_args!("\r{text}\r")) } else { context.note(text) }
}

/// Asks the VM to end, harder each time.
fn ask(
    vm: &Instance,
    signal: Option<&dyn Display>,
    asked: u32,
    raw: bool,
    args: &Args,
    context: &Context,
) -> Option<Stopping> {
    let why = signal.map(|signal| format!("{signal}: ")).unwrap_or_default();
    let vm = vm.clone();
    match asked {
        1 => {
            let grace = args.grace.0;
            let text = format!(
                "{why}asking {} to shut down within {}; once more to make QEMU quit",
                vm.name(),
                args.grace
            );
            say(raw, context, &text);
            // How it ended is told by the wait; a step that fails leads to the next.
            return Some(tokio::spawn(async move { vm.stop(grace).await.ok() }));
        }
        2 => {
            say(raw, context, &format!("{why}telling QEMU to quit; once more to kill it"));
            tokio::spawn(async move { drop(vm.quit(QUIT_WITHIN).await) });
        }
        _ => {
            say(raw, context, &format!("{why}killing QEMU"));
            tokio::spawn(async move { drop(vm.kill().await) });
        }
    }
    None
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
pub(super) fn tell(vm: &Instance, ended: &qemuctl::Exit, context: &Context) -> Result<Exit, Failure> {
    let start = if io::stderr().is_terminal() { "\r" } else { "" };
    let (exit, message) = told_end(vm, ended);
    if exit.is_done() {
        context.note(format_args!("{start}{message}"));
        return Ok(exit);
    }
    Err(Failure::new(exit, message))
}

/// How the VM ended, in words; those of QEMU too where it did not end well.
pub(super) fn told_end(vm: &Instance, ended: &qemuctl::Exit) -> (Exit, String) {
    let exit = Exit::of(ended);
    let mut message = format!("{}: {}", vm.name(), ended.reason);
    if !exit.is_done() {
        for line in vm.output() {
            message = format!("{message}\n  {line}");
        }
    }
    (exit, message)
}
