//! `status`: everything about one VM on one screen.

use std::fmt::Write;
use std::path::PathBuf;

use qemu_argv::SocketRole;
use qmp_proto::{QueryCpusFast, QueryMemorySizeSummary, QueryVnc};
use serde::Serialize;

use super::block::{Disk, disks};
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::table::size;
use super::uptime::{Uptime, uptime_s};
use super::vm::Vm;

/// Show what a VM does and what it has
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Status {
    name: String,
    /// What the VM does, such as `running`.
    state: String,
    pid: Option<u32>,
    uptime_s: Option<u64>,
    /// The version of its QEMU.
    qemu: String,
    cpus: usize,
    memory_bytes: u64,
    /// What executes the guest, such as `kvm`; none for a VM that something else started.
    accelerator: Option<&'static str>,
    disks: Vec<Disk>,
    /// Where the VNC server listens.
    vnc: Option<String>,
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
    // Not every build has VNC.
    let vnc = vm.execute(QueryVnc {}).await.ok().filter(|vnc| vnc.enabled);
    let version = &vm.qmp().greeting().version.qemu;
    let status = Status {
        name: vm.name().to_owned(),
        state: vm.state().to_string(),
        pid: vm.pid(),
        uptime_s: vm.pid().and_then(uptime_s),
        qemu: format!("{}.{}.{}", version.major, version.minor, version.micro),
        cpus: cpus.len(),
        memory_bytes: memory.base_memory + memory.plugged_memory.unwrap_or_default(),
        accelerator: vm.plan().map(|plan| plan.accel().qemu_name()),
        disks,
        vnc: vnc.and_then(|vnc| Some(format!("{}:{}", vnc.host?, vnc.service?))),
        sockets: vm
            .plan()
            .map(|plan| {
                plan.sockets()
                    .iter()
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
    let mut out = format!("{}: {}\n", status.name, status.state);
    let mut line = |key: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {key:<10} {value}");
    };
    if let Some(pid) = status.pid {
        let uptime = status.uptime_s.map(|seconds| format!(", up {}", Uptime(seconds))).unwrap_or_default();
        line("process", format!("{pid}{uptime}"));
    }
    line("qemu", format!("{} ({})", status.qemu, status.accelerator.unwrap_or("accelerator unknown")));
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
    if let Some(vnc) = &status.vnc {
        line("vnc", vnc.clone());
    }
    for socket in &status.sockets {
        line("socket", format!("{} {}", socket.role, socket.path.display()));
    }
    out
}
