//! Starts a keeper and prints its report.

use std::ffi::OsString;
use std::fs::OpenOptions;
use std::os::unix::fs::OpenOptionsExt;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::time::Duration;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use qemuctl::home::StoredMachine;
use tokio::io::{AsyncBufReadExt, BufReader};

use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::progress::Progress;
use super::super::signals::Signals;
use super::report::Report;

/// How long a keeper may take to give up.
const GIVES_UP: Duration = Duration::from_secs(15);

/// Starts a keeper for a machine by running this program with these arguments once more, and waits for its report.
pub(crate) async fn start(
    machine: &StoredMachine,
    arguments: Vec<OsString>,
    context: &Context,
) -> Result<Exit, Failure> {
    let mut signals = Signals::listen()?;
    let progress = Progress::start(context, format!("starting {}", machine.name()));
    // Panics and other messages of the keeper go to a log file.
    let log = OpenOptions::new()
        .create(true)
        .write(true)
        .truncate(true)
        .mode(0o600)
        .open(machine.file("keeper.log"));
    // This very program, even if it was replaced by an update in the meantime.
    let mut command = std::process::Command::new("/proc/self/exe");
    command.arg0("qemuctl").arg("--keeper-of").arg(machine.name()).args(arguments);
    command.env("QEMUCTL_HOME", machine.home().path());
    if let Some(dir) = context.chosen_dir() {
        command.env("QEMUCTL_SOCKET_DIR", std::path::absolute(dir)?);
    }
    command.stdin(Stdio::null()).stdout(Stdio::piped());
    command.stderr(log.map_or_else(|_| Stdio::null(), Stdio::from));
    let mut keeper = tokio::process::Command::from(command).spawn()?;
    let out = keeper.stdout.take().map(BufReader::new);
    let report = async move {
        let mut line = String::new();
        if let Some(mut out) = out {
            // An end without a report is handled below.
            let _ = out.read_line(&mut line).await;
        }
        line
    };
    let report = tokio::select! {
        line = report => Ok(line),
        asked = signals.next() => Err(asked),
    };
    let line = match report {
        Ok(line) => line,
        Err(asked) => {
            // The keeper handles SIGTERM as `start` would.
            if let Some(pid) = keeper.id().and_then(|id| i32::try_from(id).ok()) {
                let _ = kill(Pid::from_raw(pid), Signal::SIGTERM);
            }
            let _ = tokio::time::timeout(GIVES_UP, keeper.wait()).await;
            return Err(asked.failure("the launch"));
        }
    };
    progress.finish();
    if let Some(report) = Report::read(&line) {
        return report.say(context);
    }
    let ended = match tokio::time::timeout(GIVES_UP, keeper.wait()).await {
        Ok(Ok(status)) => format!("{status}"),
        _ => "no report".to_owned(),
    };
    let name = machine.name();
    let text = format!("the keeper of {name} ended without a report ({ended})");
    let log = machine.file("keeper.log");
    let help = format!("run `qemuctl info {name}`, and see {}", log.display());
    Err(Failure::new(Exit::Failed, text).with_help(help))
}
