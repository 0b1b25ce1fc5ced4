//! `exec`: a program inside the guest, as if it ran here.

use std::io::{self, Read, Write};
use std::time::Duration;

use qemuctl::{ClientError, Error, Exec, ExecOutput, GuestProcess, GuestSignal, Output};
use serde::Serialize;
use tokio::time::Instant;

use super::agent;
use super::context::Context;
use super::duration::Span;
use super::exit::Exit;
use super::failure::Failure;
use super::signals::Signals;
use super::vm::Vm;

/// Run a program inside the guest
///
/// Its output appears here as it is written, and this program ends with its exit code. The guest needs the QEMU guest
/// agent. There is no terminal: for a shell use `console`. Ctrl-C is passed on to the program.
#[derive(clap::Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// Set a variable of the program's environment; NAME alone takes its value from here. May be given several times
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,

    /// The directory in the guest to run it in
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,

    /// Pass standard input on. It is read to its end before the program starts
    #[arg(short = 'i', long)]
    stdin: bool,

    /// End the program after that time, with exit code 124: by SIGTERM, and 5 s later by SIGKILL
    #[arg(short, long, value_name = "DURATION")]
    timeout: Option<Span>,

    /// How long to wait for the guest agent to answer
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    wait: Span,

    /// The program and its arguments
    #[arg(required = true, trailing_var_arg = true, value_name = "COMMAND")]
    command: Vec<String>,
}

const HELP: &str = "\
Exit codes:
  124    the time was up
  125    the program could not be run; the message says why
  126    it is there, but cannot be executed
  127    it was not found
  128+N  signal N ended it
  other  its own";

/// The agent takes no more at once.
const MOST_INPUT: usize = 32 << 20;

/// How long a program that was asked to end may take.
const ENDS: Duration = Duration::from_secs(5);

/// What `--json` prints.
#[derive(Serialize)]
struct Ran {
    /// The exit code, if it exited.
    code: Option<i32>,
    /// The signal that ended it, if one did.
    signal: Option<i32>,
    /// What it wrote to standard output; what is no UTF-8 is replaced.
    stdout: String,
    stderr: String,
    /// Whether more than 16 MiB were written to either; the rest is not here.
    truncated: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let ran = execute(args, context).await;
    // The program's own codes are the small ones; these say that it never ran.
    ran.map_err(|failure| match failure.exit {
        Exit::Failed | Exit::NotFound | Exit::BadConfig => Failure { exit: Exit::Code(125), ..failure },
        _ => failure,
    })
}

async fn execute(args: Args, context: &Context) -> Result<Exit, Failure> {
    let input = if args.stdin { read_input()? } else { Vec::new() };
    let program = program(&args, input)?;
    let mut signals = Signals::listen()?;
    let vm = args.vm.attach(context).await?;
    tokio::select! {
        agent = agent::reach(&vm, args.wait.0, context) => drop(agent?),
        asked = signals.next() => return Err(asked.failure("waiting for the agent")),
    }
    let start = async {
        // All at once at the end needs no files in the guest.
        if context.json { vm.spawn_collected(&program).await } else { vm.spawn(&program).await }
    };
    let mut process = tokio::select! {
        process = start => process.map_err(|error| refused(&args.command[0], error, &vm))?,
        asked = signals.next() => return Err(asked.failure("the program's start")),
    };
    let mut deadline = args.timeout.map(|timeout| Instant::now() + timeout.0);
    let (mut asked_to_end, mut late) = (false, false);
    loop {
        let limit = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        let failed = |error| refused(&args.command[0], error, &vm);
        tokio::select! {
            piece = process.next() => match piece.map_err(failed)? {
                Some(piece) => if let Err(error) = print(&piece) {
                    // As if the program had written there itself.
                    end(&mut process, GuestSignal::Pipe).await;
                    return Err(error.into());
                },
                None => break,
            },
            asked = signals.next() => {
                if asked_to_end {
                    end(&mut process, GuestSignal::Kill).await;
                    return Err(asked.failure("the program in the guest"));
                }
                process.signal(asked.guest_signal()).await.map_err(failed)?;
                asked_to_end = true;
            }
            () = limit => {
                if late {
                    process.kill().await.map_err(failed)?;
                    break;
                }
                process.signal(GuestSignal::Term).await.map_err(failed)?;
                late = true;
                deadline = Some(Instant::now() + ENDS);
            }
        }
    }
    let ended = process.wait().await.map_err(|error| refused(&args.command[0], error, &vm))?;
    tell(&ended, context)?;
    if let Some(timeout) = args.timeout.filter(|_| late) {
        let text = format!("{} was ended in the guest after {timeout}", args.command[0]);
        return Err(Failure::new(Exit::Code(124), text));
    }
    Ok(match (ended.code, ended.signal) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Code(125),
    })
}

/// Ends a program that nobody wants to hear of any more. What cannot be done is left.
async fn end(process: &mut GuestProcess, signal: GuestSignal) {
    let ended = async { process.signal(signal).await.is_ok() && process.wait().await.is_ok() };
    if !matches!(tokio::time::timeout(ENDS, ended).await, Ok(true)) {
        let _ = tokio::time::timeout(ENDS, process.kill()).await;
    }
}

/// Says how the program ended, with the output that has not been printed yet.
fn tell(ended: &ExecOutput, context: &Context) -> Result<(), Failure> {
    if context.json {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        return context.print_json(&Ran {
            code: ended.code,
            signal: ended.signal,
            stdout: text(&ended.stdout),
            stderr: text(&ended.stderr),
            truncated: ended.truncated,
        });
    }
    // A guest without a shell gave all of it at the end.
    print(&Output::Stdout(ended.stdout.clone()))?;
    print(&Output::Stderr(ended.stderr.clone()))?;
    if ended.truncated {
        context.warn("the guest agent has kept the first 16 MiB of the output only");
    }
    Ok(())
}

fn read_input() -> io::Result<Vec<u8>> {
    let mut input = Vec::new();
    io::stdin().lock().take(MOST_INPUT as u64 + 1).read_to_end(&mut input)?;
    if input.len() > MOST_INPUT {
        let text = "the input is larger than the 32 MiB that the guest agent takes; copy it in with `cp`";
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, text));
    }
    Ok(input)
}

fn program(args: &Args, stdin: Vec<u8>) -> Result<Exec, Failure> {
    let mut exec = Exec::with_args(&args.command[0], &args.command[1..]).stdin(stdin);
    exec.current_dir.clone_from(&args.workdir);
    for variable in &args.env {
        let (name, value) = match variable.split_once('=') {
            Some((name, value)) => (name, Some(value.to_owned())),
            None => (&variable[..], std::env::var(variable).ok()),
        };
        let Some(value) = value else {
            let text = format!("--env {variable}: there is no such variable here to pass on");
            return Err(
                Failure::new(Exit::Usage, text).with_help(format!("give it a value: --env {variable}=VALUE"))
            );
        };
        exec = exec.env(name, &value);
    }
    Ok(exec)
}

fn print(piece: &Output) -> io::Result<()> {
    match piece {
        Output::Stdout(bytes) => {
            let mut out = io::stdout().lock();
            out.write_all(bytes)?;
            out.flush()
        }
        Output::Stderr(bytes) => io::stderr().lock().write_all(bytes),
    }
}

fn refused(program: &str, error: Error, vm: &qemuctl::Instance) -> Failure {
    match error {
        Error::Qmp(ClientError::Refused { desc, .. }) => refusal(program, &desc, vm),
        Error::Interrupted { end, .. } => {
            Failure::new(Exit::Failed, format!("{program}: the guest of {} {end} meanwhile", vm.name()))
        }
        Error::Gone { reason, .. } => {
            Failure::new(Exit::Failed, format!("{program}: {} has ended meanwhile: {reason}", vm.name()))
        }
        error => error.into(),
    }
}

/// The agent's reason why a program cannot be started.
fn refusal(program: &str, desc: &str, vm: &qemuctl::Instance) -> Failure {
    let name = vm.name();
    if desc.starts_with("Failed to change to directory") {
        return Failure::new(Exit::Code(125), format!("{program} cannot be started in {name}: {desc}"));
    }
    if desc.contains("No such file or directory") {
        return Failure::new(Exit::Code(127), format!("{program} was not found in {name}"));
    }
    if desc.contains("Permission denied") {
        return Failure::new(Exit::Code(126), format!("{program} cannot be executed in {name}: {desc}"));
    }
    if desc.contains("has been disabled") {
        return Failure::new(Exit::Failed, format!("the agent of {name} may not run programs: {desc}"))
            .with_help("allow guest-exec in the guest's /etc/qemu/qemu-ga.conf or its qemu-ga options");
    }
    Failure::new(Exit::Failed, format!("{program} cannot be started in {name}: {desc}"))
}
