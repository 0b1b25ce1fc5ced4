//! `exec`: runs a program inside the guest.

use std::io::{self, Read, Write};
use std::time::Duration;

use qemuctl::{
    Error, Exec,
    guest::{ExecOutput, GuestProcess, GuestSignal, Output},
    qmp_client::ClientError,
};
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
/// Its output is printed here as it is written, and its exit code is passed on. The guest needs the QEMU guest agent.
/// The program has no terminal; use `console` for a shell. Ctrl-C is passed on to the program.
#[derive(clap::Args, Debug)]
#[command(after_long_help = HELP)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// Set an environment variable; NAME alone copies the value from here (repeatable)
    #[arg(short, long, value_name = "NAME[=VALUE]")]
    env: Vec<String>,

    /// Working directory in the guest
    #[arg(short, long, value_name = "DIR")]
    workdir: Option<String>,

    /// Pass standard input on; it is read to its end before the program starts
    #[arg(short = 'i', long)]
    stdin: bool,

    /// Stop the program after this time, by SIGTERM and 5s later by SIGKILL; exits with 124
    #[arg(short, long, value_name = "DURATION")]
    timeout: Option<Span>,

    /// How long to wait for the guest agent to answer
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    wait: Span,

    /// Program to run, and its arguments
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

/// The most input that the agent accepts.
const MOST_INPUT: usize = 32 << 20;

/// How long a program may take to end after SIGTERM.
const ENDS: Duration = Duration::from_secs(5);

/// What `--json` prints.
#[derive(Serialize)]
struct Ran {
    /// The exit code, if the program exited.
    code: Option<i32>,
    /// The signal that ended the program, if any.
    signal: Option<i32>,
    /// Standard output; invalid UTF-8 is replaced.
    stdout: String,
    stderr: String,
    /// Whether either output was truncated to 16 MiB.
    truncated: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let ran = execute(args, context).await;
    // Small exit codes belong to the program; these mean that it never ran.
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
        // JSON is printed at the end, so the output can be fetched at once, without files in the guest.
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
                    // Write exactly what the program wrote.
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
        let text = format!("{} timed out after {timeout} and was stopped in the guest", args.command[0]);
        return Err(Failure::new(Exit::Code(124), text));
    }
    Ok(match (ended.code, ended.signal) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Code(125),
    })
}

/// Stops a program whose result is not needed any more. Errors are ignored.
async fn end(process: &mut GuestProcess, signal: GuestSignal) {
    let ended = async { process.signal(signal).await.is_ok() && process.wait().await.is_ok() };
    if !matches!(tokio::time::timeout(ENDS, ended).await, Ok(true)) {
        let _ = tokio::time::timeout(ENDS, process.kill()).await;
    }
}

/// Reports how the program ended, after printing the rest of its output.
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
    // A guest without a shell delivers all output at the end.
    print(&Output::Stdout(ended.stdout.clone()))?;
    print(&Output::Stderr(ended.stderr.clone()))?;
    if ended.truncated {
        context.warn("the output was truncated: the guest agent keeps only the first 16 MiB");
    }
    Ok(())
}

fn read_input() -> io::Result<Vec<u8>> {
    let mut input = Vec::new();
    io::stdin().lock().take(MOST_INPUT as u64 + 1).read_to_end(&mut input)?;
    if input.len() > MOST_INPUT {
        let text = "standard input is larger than 32 MiB, the guest agent's limit; copy it with `qemuctl cp`";
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
            let text = format!("--env {variable}: the variable is not set here");
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
        Error::Interrupted { end, .. } => Failure::new(
            Exit::Failed,
            format!("{program}: the guest of {} {end} while it was running", vm.name()),
        ),
        Error::Gone { reason, .. } => Failure::new(
            Exit::Failed,
            format!("{program}: {} ended while it was running: {reason}", vm.name()),
        ),
        error => error.into(),
    }
}

/// Turns the agent's reason for not starting a program into a failure.
fn refusal(program: &str, desc: &str, vm: &qemuctl::Instance) -> Failure {
    let name = vm.name();
    if desc.starts_with("Failed to change to directory") {
        return Failure::new(Exit::Code(125), format!("{program} cannot be started in {name}: {desc}"));
    }
    if desc.contains("No such file or directory") {
        return Failure::new(Exit::Code(127), format!("{program} not found in {name}"));
    }
    if desc.contains("Permission denied") {
        return Failure::new(Exit::Code(126), format!("{program} cannot be executed in {name}: {desc}"));
    }
    if desc.contains("has been disabled") {
        return Failure::new(
            Exit::Failed,
            format!("the guest agent of {name} is not allowed to run programs: {desc}"),
        )
        .with_help("allow guest-exec in the guest's /etc/qemu/qemu-ga.conf or its qemu-ga options");
    }
    Failure::new(Exit::Failed, format!("{program} cannot be started in {name}: {desc}"))
}
