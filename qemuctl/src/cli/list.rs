//! `list`: which VMs run, and what they do.

use std::path::PathBuf;
use std::time::Duration;

use qemuctl::runtime::Record;
use qemuctl::{Error, Instance, State};
use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::table::{Table, size};
use super::uptime::{Uptime, uptime_s};

/// List the VMs that run
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Print names alone, one a line
    #[arg(long, conflicts_with = "json")]
    names: bool,
}

/// How long one VM may take to tell its state. A VM that hangs must not hide the others.
const ANSWER_WITHIN: Duration = Duration::from_millis(500);

/// A line of the list; `--json` prints an array of them.
#[derive(Serialize)]
struct Row {
    name: String,
    /// What the VM does, such as `running`; `busy`: another program has its monitor.
    state: String,
    pid: u32,
    /// Whether it outlives the program that started it.
    detached: bool,
    uptime_s: Option<u64>,
    cpus: u32,
    memory_bytes: u64,
    socket: PathBuf,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let records: Vec<Record> = Record::all(&context.dir()?)?.into_iter().filter(Record::is_alive).collect();
    if args.names {
        for record in &records {
            context.print(&record.name)?;
        }
        return Ok(Exit::Done);
    }
    let asked: Vec<_> = records.iter().map(|record| tokio::spawn(state(record.socket.clone()))).collect();
    let mut rows = Vec::new();
    for (record, state) in records.into_iter().zip(asked) {
        let Ok(state) = state.await else { continue };
        rows.push(Row {
            name: record.name,
            state,
            pid: record.pid,
            detached: record.detached,
            uptime_s: uptime_s(record.pid),
            cpus: record.config.cpu.count,
            memory_bytes: record.config.memory.size.to_bytes(),
            socket: record.socket,
        });
    }
    if context.json {
        context.print_json(&rows)?;
    } else if rows.is_empty() {
        context.note("no VM runs");
    } else {
        context.print(table(&rows))?;
    }
    Ok(Exit::Done)
}

/// What the VM says it does, or why it cannot be asked.
async fn state(socket: PathBuf) -> String {
    let asked = tokio::time::timeout(ANSWER_WITHIN, Instance::attach(&socket)).await;
    match asked {
        Ok(Ok(vm)) => vm.state().to_string(),
        Ok(Err(Error::Busy { .. })) => "busy".to_owned(),
        Ok(Err(_)) => State::Unknown.to_string(),
        Err(_) => State::Unresponsive.to_string(),
    }
}

fn table(rows: &[Row]) -> Table<6> {
    let mut table = Table::new(["NAME", "STATE", "PID", "UPTIME", "CPUS", "MEMORY"]);
    for row in rows {
        table.row([
            row.name.clone(),
            row.state.clone(),
            row.pid.to_string(),
            row.uptime_s.map(|seconds| Uptime(seconds).to_string()).unwrap_or_default(),
            row.cpus.to_string(),
            size(row.memory_bytes),
        ]);
    }
    table
}
