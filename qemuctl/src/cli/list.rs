//! `list`: the running VMs and their states.

use std::path::PathBuf;
use std::time::Duration;

use anstyle::Style;
use qemuctl::config::ConfigFile;
use qemuctl::home::{Home, StoredMachine};
use qemuctl::runtime::{Record, sweep};
use qemuctl::{Error, Instance, State, VmConfig, config::Size};
use serde::Serialize;

use super::context::{Context, ERROR, GOOD, WARNING};
use super::exit::Exit;
use super::failure::Failure;
use super::home;
use super::table::{Table, size};
use super::uptime::{Uptime, uptime_s};

/// List running VMs
///
/// Also removes and reports the leftovers of VMs that ended unobserved.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// List stopped machines, too, and how each ended
    #[arg(short, long)]
    all: bool,

    /// Print only names, one per line
    #[arg(long, conflicts_with = "json")]
    names: bool,
}

/// The timeout of each step of a query, so that a hanging VM does not hide the others.
const ANSWER_WITHIN: Duration = Duration::from_secs(1);

/// One row. `--json` prints an array of them.
#[derive(Serialize)]
struct Row {
    name: String,
    /// The state, such as `running`; `busy` if other programs are using all of its monitors.
    state: String,
    /// `None` if the process is not visible, for example from another container.
    pid: Option<u32>,
    /// Whether the VM outlives the program that started it.
    detached: bool,
    uptime_s: Option<u64>,
    /// `None` if the board decides it, as for the memory.
    cpus: Option<u32>,
    memory_bytes: Option<u64>,
    /// `None` if the VM is not running.
    socket: Option<PathBuf>,
    /// The folder of a machine.
    #[serde(skip_serializing_if = "Option::is_none")]
    folder: Option<PathBuf>,
    /// How the last run of a stopped machine ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    /// When the last run ended, in seconds before now.
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
        context.note(if args.all { "no machines and no running VMs" } else { "no running VMs" });
    } else if args.all {
        context.print_styled(long_table(&rows))?;
    } else {
        context.print_styled(table(&rows))?;
    }
    Ok(Exit::Done)
}

/// The row of a stopped machine.
fn idle_row(machine: &StoredMachine) -> Row {
    let status = machine.status();
    let (state, ended) = match &status {
        Ok(status) => (home::state(status), home::ended(status)),
        Err(error) => ("unknown", Some(qemuctl::error::explain(error))),
    };
    // List a machine with an invalid config, too; `check` reports its problems.
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

/// Returns the VM's state, or why it is not available.
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
        table.style(1, style(&row.state));
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
        table.style(1, style(&row.state));
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

/// Returns the colour of a state: green while the guest is running, red after a failure, yellow in between.
fn style(state: &str) -> Style {
    match state {
        "running" => GOOD,
        "stopped" | "new" => Style::new(),
        "crashed" | "guest-panicked" | "internal-error" | "io-error" | "unknown" | "unresponsive" => ERROR,
        _ => WARNING,
    }
}
