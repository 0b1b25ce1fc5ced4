//! `run`: runs a VM in the foreground.

use std::fmt::Display;
use std::io::{self, IsTerminal};
use std::time::Duration;

use qemuctl::home::{Hold, StoredMachine};
use qemuctl::qmp_client::Events;
use qemuctl::{Console, Instance, LaunchOptions, Ownership, SavedState, StopOutcome, control::GuestAnswer};
use qmp_proto::Cont;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::task::JoinHandle;

use super::console::control_key;
use super::context::Context;
use super::duration::Span;
use super::exit::Exit;
use super::failure::Failure;
use super::keeper::note;
use super::launch::{launch, socket_dir};
use super::machine::MachineArgs;
use super::menu::{Choice, Menu};
use super::signals::Signals;
use super::stop::disobeyed;
use super::terminal::{Terminal, read_keys};
use super::ways::Ways;
use super::window::Window;

/// Run a VM in the foreground, with its serial console
///
/// FILE is a config file (TOML or JSON) or a disk image. The serial console is printed on standard output. On a
/// terminal, all keys including Ctrl-C go to the guest; Ctrl-] opens a menu to stop or kill the VM. SIGTERM, or Ctrl-C
/// without a console, shuts the VM down: the guest is asked to shut down and has the time of --grace to do so, or twice
/// that once it has begun. If it does not, QEMU is stopped, and the exit code is 6. A second signal stops QEMU at once,
/// a third kills it.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    machine: MachineArgs,

    /// How long to wait for the guest to shut down
    #[arg(long, value_name = "DURATION", default_value = "60s")]
    grace: Span,

    /// Do not connect the serial console
    #[arg(long)]
    no_console: bool,

    /// Key that opens the menu, such as ^] or ^A
    #[arg(long, value_name = "KEY", default_value = "^]", value_parser = control_key, conflicts_with = "no_console")]
    escape: u8,
}

/// How long to wait for the last output of the console.
const LAST_WORDS: Duration = Duration::from_secs(2);

/// How long QEMU may take to accept typed keys; later ones are lost, as on a real serial line.
const TYPED: Duration = Duration::from_secs(1);

/// How long QEMU may take to quit.
const QUIT_WITHIN: Duration = Duration::from_secs(5);

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let mut loaded = args.machine.load()?;
    let mut signals = Signals::listen()?;
    let mut options = LaunchOptions::default();
    let mut hold = loaded.machine().map(StoredMachine::hold).transpose()?;
    let mut is_to_run = !loaded.config.paused;
    if let Some(hold) = &mut hold {
        hold.prepare(&mut loaded.config, &mut options)?;
        is_to_run = options.resume.as_ref().map_or(is_to_run, SavedState::was_running);
        // The guest's CPUs are started after subscribing to events, so that none is missed.
        options.paused = true;
        hold.begin(&socket_dir(&loaded, context)?)?;
    }
    let launched = launch(&loaded, Ownership::Owned, options, &mut signals, context).await;
    if let (Err(failure), Some(hold)) = (&launched, &mut hold) {
        hold.failed(&failure.message)?;
    }
    let vm = launched?;
    let mut recorder = match hold {
        Some(mut hold) => {
            hold.started(vm.pid());
            let events = vm.events();
            if is_to_run
                && let Err(error) = vm.execute(Cont {}).await
                && vm.exit().is_none()
            {
                vm.kill().await?;
                let failure = Failure::from(error);
                hold.failed(&failure.message)?;
                return Err(failure);
            }
            Some(Recorder { hold, events, is_open: true })
        }
        None => None,
    };
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
    say(terminal.is_some(), context, &format!("started {} (process {pid}){hint}", vm.name()));
    let window = terminal.as_ref().map(|_| Window::follow(&vm));
    let output = console.clone().map(|console| tokio::spawn(copy_out(console)));
    let (ended, stopped) =
        supervise(&vm, &mut signals, console.as_ref(), &mut terminal, &mut recorder, &args, context).await;
    if let Some(output) = output {
        // Output that is not read in time is lost: the VM has ended, and so will this program.
        let _ = tokio::time::timeout(LAST_WORDS, output).await;
    }
    drop((window, terminal));
    if let Some(recorder) = recorder {
        recorder.end(&ended).await?;
    }
    match stopped {
        Some(outcome) if outcome.guest == GuestAnswer::Ignored => Err(disobeyed(vm.name(), &outcome)),
        _ => tell(&vm, &ended, context),
    }
}

/// Writes the events of a machine.
struct Recorder {
    hold: Hold,
    events: Events,
    /// Whether there may be more events.
    is_open: bool,
}

impl Recorder {
    /// Writes the next event.
    async fn next(&mut self) {
        if !self.is_open {
            return std::future::pending().await;
        }
        let event = self.events.recv().await;
        self.is_open = note(&mut self.hold, event);
    }

    /// Writes the events that have been received already, and how the VM ended.
    async fn end(mut self, ended: &qemuctl::Exit) -> Result<(), Failure> {
        while self.is_open {
            let Ok(event) = tokio::time::timeout(LAST_WORDS, self.events.recv()).await else { break };
            self.is_open = note(&mut self.hold, event);
        }
        self.hold.ended(ended)?;
        self.hold.machine().cut_logs();
        Ok(())
    }
}

/// Runs until the VM ends: passes keys on, and shuts it down on request.
async fn supervise(
    vm: &Instance,
    signals: &mut Signals,
    console: Option<&Console>,
    terminal: &mut Option<Terminal>,
    recorder: &mut Option<Recorder>,
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
            () = async { match recorder {
                Some(recorder) => recorder.next().await,
                None => std::future::pending().await,
            } } => {}
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
                    // A guest that does not read its input must not block the menu.
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

/// Returns the outcome of asking the guest to shut down, unless QEMU was stopped since.
async fn told(stopping: Option<Stopping>) -> Option<StopOutcome> {
    tokio::time::timeout(LAST_WORDS, stopping?).await.ok()?.ok()?
}

/// A pending request to shut down.
type Stopping = JoinHandle<Option<StopOutcome>>;

/// Prints a note. A raw terminal needs carriage returns.
fn say(raw: bool, context: &Context, text: &str) {
    if raw { context.note(format_args!("\r{text}\r")) } else { context.note(text) }
}

/// Ends the VM, more forcibly each time.
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
            let text =
                format!("{why}asking {} to shut down within {}; repeat to stop QEMU", vm.name(), args.grace);
            say(raw, context, &text);
            // The wait reports how the VM ended; a failed step leads to the next one.
            return Some(tokio::spawn(async move { vm.stop(grace).await.ok() }));
        }
        2 => {
            say(raw, context, &format!("{why}stopping QEMU; repeat to kill it"));
            tokio::spawn(async move { drop(vm.quit(QUIT_WITHIN).await) });
        }
        _ => {
            say(raw, context, &format!("{why}killing QEMU"));
            tokio::spawn(async move { drop(vm.kill().await) });
        }
    }
    None
}

/// Copies the guest's output to standard output until the VM ends.
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

/// Reports why the VM ended.
pub(super) fn tell(vm: &Instance, ended: &qemuctl::Exit, context: &Context) -> Result<Exit, Failure> {
    let start = if io::stderr().is_terminal() { "\r" } else { "" };
    let (exit, message) = told_end(vm, ended);
    if exit.is_done() {
        context.note(format_args!("{start}{message}"));
        return Ok(exit);
    }
    Err(Failure::new(exit, message))
}

/// Describes how the VM ended, with QEMU's own output after a failure.
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
