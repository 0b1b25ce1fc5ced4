//! `list`: which VMs run, and what they do.

use std::path::PathBuf;
use std::time::Duration;

use qemuctl::config::ConfigFile;
use qemuctl::home::{Home, StoredMachine};
use qemuctl::runtime::{Record, sweep};
use qemuctl::{Error, Instance, Size, State, VmConfig};
use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::home;
use super::table::{Table, size};
use super::uptime::{Uptime, uptime_s};

/// List the VMs that run
///
/// What VMs have left that ended while nobody was watching is removed, and told.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// List the machines that do not run too, with how each ended
    #[arg(short, long)]
    all: bool,

    /// Print names alone, one a line
    #[arg(long, conflicts_with = "json")]
    names: bool,
}

/// How long one VM may take for each step to its state. A VM that hangs must not hide the others.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// A line of the list; `--json` prints an array of them.
#[derive(Serialize)]
struct Row {
    name: String,
    /// What the VM does, such as `running`; `busy`: other programs are using all of its monitors.
    state: String,
    /// None: the process cannot be seen from here, as from another container.
    pid: Option<u32>,
    /// Whether it outlives the program that started it.
    detached: bool,
    uptime_s: Option<u64>,
    /// None: the board decides it, as the size of the memory.
    cpus: Option<u32>,
    memory_bytes: Option<u64>,
    /// None: it does not run.
    socket: Option<PathBuf>,
    /// The folder of a machine of the home.
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<PathBuf>,
    /// How the last run of a machine ended that does not run.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    /// When it did, in seconds before now.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended_s: Option<u64>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let dir = context.dir()?;
    context.tell_ended(&sweep(&dir)?);
    let records: Vec<Record> = Record::all(&dir)?.into_iter().filter(Record::is_alive).collect();
    let machines = if args.all { Home::open()?.machines()? } else { Vec::new() };
    let is_running = |name: &str| records.iter().any(|record| record.name == name);
    let idle: Vec<_> = machines.into_iter().filter(|machine| !is_running(machine.name())).collect();
    if args.names {
        let names = records.iter().map(|record| record.name.as_str());
        let mut names: Vec<_> = names.chain(idle.iter().map(StoredMachine::name)).collect();
        names.sort_unstable();
        for name in names {
            context.print(name)?;
        }
        return Ok(Exit::Done);
    }
    let asked: Vec<_> = records.iter().map(|record| tokio::spawn(state(record.socket.clone()))).collect();
    let mut rows = Vec::new();
    for (record, state) in records.into_iter().zip(asked) {
        let Ok(state) = state.await else { continue };
        let pid = Some(record.pid).filter(|_| record.is_visible());
        rows.push(Row {
            name: record.name,
            state,
            pid,
            detached: record.detached,
            uptime_s: pid.and_then(uptime_s),
            cpus: record.config.cpu_count(),
            memory_bytes: record.config.memory_size().map(Size::to_bytes),
            socket: Some(record.socket),
            folder: None,
            ended: None,
            ended_s: None,
        });
    }
    rows.extend(idle.iter().map(idle_row));
    rows.sort_by(|one, other| one.name.cmp(&other.name));
    if context.json {
        context.print_json(&rows)?;
    } else if rows.is_empty() {
        context.note(if args.all { "there is no machine, and no VM runs" } else { "no VM runs" });
    } else if args.all {
        context.print(long_table(&rows))?;
    } else {
        context.print(table(&rows))?;
    }
    Ok(Exit::Done)
}

/// A machine that does not run.
fn idle_row(machine: &StoredMachine) -> Row {
    let status = machine.status();
    let (state, ended) = match &status {
        Ok(status) => (home::state(status), home::ended(status)),
        Err(error) => ("unknown", Some(qemuctl::explain(error))),
    };
    // One that is wrong is listed all the same; `check` tells what is.
    let config = machine.config().map(ConfigFile::into_config);
    let config = config.as_ref().ok();
    Row {
        name: machine.name().to_owned(),
        state: state.to_owned(),
        pid: None,
        detached: true,
        uptime_s: None,
        cpus: config.and_then(VmConfig::cpu_count),
        memory_bytes: config.and_then(VmConfig::memory_size).map(Size::to_bytes),
        socket: None,
        folder: Some(machine.folder().to_owned()),
        ended,
        ended_s: status.ok().and_then(|status| home::ago_s(&status.run?)),
    }
}

/// What the VM says it does, or why it cannot be asked.
async fn state(socket: PathBuf) -> String {
    let options = qmp_client::Options {
        greeting: ANSWER_WITHIN,
        ready: ANSWER_WITHIN,
        command: ANSWER_WITHIN,
        ..Default::default()
    };
    match Instance::attach_with(&socket, &options).await {
        Ok(vm) => vm.state().to_string(),
        Err(Error::Busy { .. }) => "busy".to_owned(),
        Err(Error::Unresponsive { .. }) => State::Unresponsive.to_string(),
        Err(_) => State::Unknown.to_string(),
    }
}

fn table(rows: &[Row]) -> Table<6> {
    let mut table = Table::new(["NAME", "STATE", "PID", "UPTIME", "CPUS", "MEMORY"]);
    for row in rows {
        table.row(cells(row));
    }
    table
}

fn long_table(rows: &[Row]) -> Table<7> {
    let mut table = Table::new(["NAME", "STATE", "PID", "UPTIME", "CPUS", "MEMORY", "ENDED"]);
    for row in rows {
        let [name, state, pid, uptime, cpus, memory] = cells(row);
        let ago = row.ended_s.map(|seconds| format!(", {} ago", Uptime(seconds))).unwrap_or_default();
        let ended = row.ended.as_ref().map(|ended| format!("{ended}{ago}")).unwrap_or_default();
        table.row([name, state, pid, uptime, cpus, memory, ended]);
    }
    table
}

fn cells(row: &Row) -> [String; 6] {
    [
        row.name.clone(),
        row.state.clone(),
        row.pid.map(|pid| pid.to_string()).unwrap_or_default(),
        row.uptime_s.map(|seconds| Uptime(seconds).to_string()).unwrap_or_default(),
        row.cpus.map(|cpus| cpus.to_string()).unwrap_or_default(),
        row.memory_bytes.map(size).unwrap_or_default(),
    ]
}
