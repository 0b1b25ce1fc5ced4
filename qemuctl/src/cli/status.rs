//! `status`: shows a running VM.

use std::fmt::Write;
use std::path::PathBuf;

use qemu_argv::SocketRole;
use qmp_proto::{QueryCpusFast, QueryMemorySizeSummary, QueryTarget};
use serde::Serialize;

use super::block::{Disk, disks};
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::table::size;
use super::uptime::{Uptime, uptime_s};
use super::vm::Vm;
use super::ways::Ways;

/// Show a running VM
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Status {
    name: String,
    /// The state, such as `running`.
    state: String,
    /// The disks whose errors have paused the guest, with the error.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    disk_errors: Vec<String>,
    pid: Option<u32>,
    uptime_s: Option<u64>,
    /// QEMU's version.
    qemu: String,
    /// The guest's architecture, such as `x86_64`.
    arch: String,
    /// The config file or image it was started from.
    config: Option<PathBuf>,
    cpus: usize,
    memory_bytes: u64,
    /// The accelerator, such as `kvm`; null if the VM was not started by qemuctl.
    accelerator: Option<&'static str>,
    disks: Vec<Disk>,
    #[serde(flatten)]
    ways: Ways,
    sockets: Vec<Socket>,
}

#[derive(Serialize)]
struct Socket {
    role: String,
    path: PathBuf,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let memory = vm.execute(QueryMemorySizeSummary {}).await?;
    let cpus = vm.execute(QueryCpusFast {}).await?;
    let disks = disks(&vm).await?;
    let arch = vm.execute(QueryTarget {}).await?.arch;
    let record = args.vm.record(context)?;
    let version = &vm.qmp().greeting().version.qemu;
    let status = Status {
        name: vm.name().to_owned(),
        state: vm.state().to_string(),
        disk_errors: vm.disk_errors().await?.iter().map(ToString::to_string).collect(),
        pid: vm.pid(),
        uptime_s: vm.pid().and_then(uptime_s),
        qemu: format!("{}.{}.{}", version.major, version.minor, version.micro),
        arch: arch.to_string(),
        config: record.and_then(|record| record.config_file),
        cpus: cpus.len(),
        memory_bytes: memory.base_memory + memory.plugged_memory.unwrap_or_default(),
        accelerator: vm.plan().map(|plan| plan.accel().qemu_name()),
        disks,
        ways: Ways::with_addresses(&vm).await,
        sockets: vm
            .plan()
            .map(|plan| {
                plan.sockets()
                    .map(|socket| Socket { role: role(&socket.role), path: socket.path.clone() })
                    .collect()
            })
            .unwrap_or_default(),
    };
    context.show(&status, text(&status).trim_end())?;
    Ok(Exit::Done)
}

fn role(role: &SocketRole) -> String {
    match role {
        SocketRole::Qmp => "monitor".to_owned(),
        SocketRole::Console(number) => format!("console {number}"),
        SocketRole::Agent => "agent".to_owned(),
        SocketRole::Port(name) => format!("port {name}"),
        _ => "other".to_owned(),
    }
}

fn text(status: &Status) -> String {
    let why = status.disk_errors.join(", ");
    let why = if why.is_empty() { why } else { format!(" ({why})") };
    let mut out = format!("{}: {}{why}\n", status.name, status.state);
    let mut line = |key: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {key:<10} {value}");
    };
    if let Some(pid) = status.pid {
        let uptime = status.uptime_s.map(|seconds| format!(", up {}", Uptime(seconds))).unwrap_or_default();
        line("process", format!("{pid}{uptime}"));
    }
    if let Some(config) = &status.config {
        line("config", config.display().to_string());
    }
    let accelerator = status.accelerator.unwrap_or("accelerator unknown");
    line("qemu", format!("{} ({}, {accelerator})", status.qemu, status.arch));
    line("cpus", status.cpus.to_string());
    line("memory", size(status.memory_bytes));
    for disk in &status.disks {
        let Some(file) = &disk.file else {
            line("disk", format!("{} (no medium)", disk.id));
            continue;
        };
        let size = disk.size_bytes.map(|bytes| format!(", {}", size(bytes))).unwrap_or_default();
        let mode = if disk.read_only { ", read-only" } else { "" };
        line("disk", format!("{} {file} ({}{size}{mode})", disk.id, disk.format.as_deref().unwrap_or("?")));
    }
    for (key, value) in status.ways.lines() {
        line(key, value);
    }
    for socket in &status.sockets {
        line("socket", format!("{} {}", socket.role, socket.path.display()));
    }
    out
}
