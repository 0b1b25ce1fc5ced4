//! `exec`: a program inside the guest, as if it ran here.

use std::io::{self, Read, Write};
use std::time::Duration;

use qemuctl::ClientError;
use qemuctl::qmp_client::agent::{Agent, Exec, ExecOutput, Output};
use serde::Serialize;
use tokio::sync::mpsc;
use tokio::time::Instant;

use super::agent::{self, ask};
use super::context::Context;
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

    /// End the program after that many seconds, with exit code 124
    #[arg(short, long, value_name = "SECONDS")]
    timeout: Option<u64>,

    /// How long to wait for the guest agent to answer, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 10)]
    wait: u64,

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
    let mut signals = Signals::listen()?;
    let vm = args.vm.attach(context).await?;
    let agent = tokio::select! {
        agent = agent::reach(&vm, Duration::from_secs(args.wait), context) => agent?,
        asked = signals.next() => return Err(asked.failure("waiting for the agent")),
    };
    let (env, script) = (environment(&agent, &args.env).await?, args.workdir);
    let program = in_folder(&args.command, script, env, input);
    let (happenings, mut happened) = mpsc::channel(16);
    tokio::spawn(run_in_guest(agent.clone(), program, happenings));
    let mut deadline = args.timeout.map(|seconds| Instant::now() + Duration::from_secs(seconds));
    let (mut pid, mut late, mut collected) = (None, false, ExecOutput::default());
    let ended = loop {
        let limit = async {
            match deadline {
                Some(deadline) => tokio::time::sleep_until(deadline).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            next = happened.recv() => match next {
                Some(Happened::Started(started)) => pid = Some(started),
                Some(Happened::Piece(piece)) if context.json => collect(&mut collected, piece),
                Some(Happened::Piece(piece)) => if let Err(error) = print(&piece) {
                    // As if the program had written there itself.
                    signal(&agent, pid, "PIPE").await;
                    return Err(error.into());
                },
                Some(Happened::Ended(output)) => break output,
                Some(Happened::Failed(error)) => return Err(refused(&args.command[0], &error, &vm)),
                None => return Err(Failure::new(Exit::Failed, "the connection to the guest agent has ended")),
            },
            asked = signals.next() => {
                let Some(pid) = pid.take() else { return Err(asked.failure("the program's start")) };
                signal(&agent, Some(pid), asked.short_name()).await;
            }
            () = limit => {
                if late {
                    let text = format!("{} has not ended and runs on in the guest", args.command[0]);
                    return Err(Failure::new(Exit::Code(124), text));
                }
                signal(&agent, pid, "TERM").await;
                late = true;
                deadline = Some(Instant::now() + ENDS);
            }
        }
    };
    if context.json {
        // A guest without a shell gave all of it at the end.
        collected.stdout.extend_from_slice(&ended.stdout);
        collected.stderr.extend_from_slice(&ended.stderr);
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        context.print_json(&Ran {
            code: ended.code,
            signal: ended.signal,
            stdout: text(&collected.stdout),
            stderr: text(&collected.stderr),
        })?;
    } else {
        print(&Output::Stdout(ended.stdout))?;
        print(&Output::Stderr(ended.stderr))?;
    }
    if ended.truncated {
        context.warn("the guest agent has kept the first 16 MiB of the output only");
    }
    if late {
        let seconds = args.timeout.unwrap_or_default();
        let text = format!("{} was ended in the guest after {seconds} s", args.command[0]);
        return Err(Failure::new(Exit::Code(124), text));
    }
    Ok(match (ended.code, ended.signal) {
        (Some(code), _) => Exit::Code(code),
        (None, Some(signal)) => Exit::Signal(signal),
        (None, None) => Exit::Code(125),
    })
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

/// The environment that the program gets: the agent's own, with what is set here. None: the agent's own.
async fn environment(agent: &Agent, set: &[String]) -> Result<Option<Vec<String>>, Failure> {
    if set.is_empty() {
        return Ok(None);
    }
    let own = ask(agent, "env", &["-0"]).await.unwrap_or_default();
    let mut all: Vec<String> = own.split_terminator('\0').map(str::to_owned).collect();
    for variable in set {
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
        all.retain(|known| known.split_once('=').is_none_or(|(known, _)| known != name));
        all.push(format!("{name}={value}"));
    }
    Ok(Some(all))
}

fn in_folder(command: &[String], folder: Option<String>, env: Option<Vec<String>>, stdin: Vec<u8>) -> Exec {
    let exec = match folder {
        None => Exec::with_args(&command[0], &command[1..]),
        Some(folder) => {
            let script = r#"cd -- "$1" || exit 125; shift; exec "$@""#.to_owned();
            let args =
                ["-c".to_owned(), script, "sh".to_owned(), folder].into_iter().chain(command.iter().cloned());
            Exec::with_args("/bin/sh", args)
        }
    };
    Exec { env, stdin, ..exec }
}

/// What the program in the guest did.
enum Happened {
    Started(i64),
    Piece(Output),
    Ended(ExecOutput),
    Failed(ClientError),
}

/// Runs the program to its end. A task of its own: a piece of output must not be lost to a signal that comes meanwhile.
async fn run_in_guest(agent: Agent, exec: Exec, happenings: mpsc::Sender<Happened>) {
    let last = match run_to_end(&agent, &exec, &happenings).await {
        Ok(output) => Happened::Ended(output),
        Err(error) => Happened::Failed(error),
    };
    // Nobody is there any more to be told.
    let _ = happenings.send(last).await;
}

async fn run_to_end(
    agent: &Agent,
    exec: &Exec,
    happenings: &mpsc::Sender<Happened>,
) -> Result<ExecOutput, ClientError> {
    let mut running = match agent.exec_streamed(exec, agent::SHORT).await {
        Ok(running) => running,
        // A guest without a POSIX shell, such as Windows, tells everything at the end.
        Err(ClientError::Refused { .. }) => return agent.exec(exec, Duration::MAX).await,
        Err(error) => return Err(error),
    };
    let _ = happenings.send(Happened::Started(running.pid())).await;
    while let Some(piece) = running.next().await? {
        if happenings.send(Happened::Piece(piece)).await.is_err() {
            break;
        }
    }
    let output = running.wait().await?;
    // Its files are removed by a command that nobody waits for; the agent takes one after the other.
    let _ = agent.execute(qmp_proto::qga::GuestPing {}).await;
    Ok(output)
}

async fn signal(agent: &Agent, pid: Option<i64>, name: &str) {
    if let Some(pid) = pid {
        ask(agent, "/bin/sh", &["-c", r#"kill -s "$0" "$1""#, name, &pid.to_string()]).await;
    }
}

fn collect(output: &mut ExecOutput, piece: Output) {
    match piece {
        Output::Stdout(bytes) => output.stdout.extend(bytes),
        Output::Stderr(bytes) => output.stderr.extend(bytes),
    }
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

fn refused(program: &str, error: &ClientError, vm: &qemuctl::Instance) -> Failure {
    match error {
        ClientError::Refused { desc, .. } if desc.contains("No such file or directory") => {
            Failure::new(Exit::Code(127), format!("{program} was not found in {}", vm.name()))
        }
        ClientError::Refused { desc, .. } if desc.contains("Permission denied") => {
            Failure::new(Exit::Code(126), format!("{program} cannot be executed in {}: {desc}", vm.name()))
        }
        ClientError::Refused { desc, .. } if desc.contains("has been disabled") => {
            Failure::new(Exit::Failed, format!("the agent of {} may not run programs: {desc}", vm.name()))
                .with_help("allow guest-exec in the guest's /etc/qemu/qemu-ga.conf or its qemu-ga options")
        }
        _ => match vm.exit_reason() {
            Some(reason) => {
                Failure::new(Exit::Failed, format!("{} has ended meanwhile: {reason}", vm.name()))
            }
            None => Failure::of(Exit::Failed, error),
        },
    }
}
