//! `info`: shows a machine, running or not.

use std::fmt::Write;
use std::path::PathBuf;

use qemu_argv::{DiskBackend, FileDisk, HostDeviceDisk, Size};
use qemuctl::home::LastRun;
use serde::Serialize;

use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::table::size;
use super::super::uptime::{Uptime, uptime_s};
use super::Named;
use super::told::{ago_s, ended, moment, state};

/// Show a machine's config and how its last run ended
///
/// For a running machine, `status` shows what QEMU reports.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    named: Named,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Info {
    name: String,
    /// `new`, `running`, `starting`, `restarting` or `stopped`.
    state: &'static str,
    folder: PathBuf,
    /// QEMU's process id, if it is running.
    pid: Option<u32>,
    /// The keeper's process id.
    keeper: Option<u32>,
    uptime_s: Option<u64>,
    /// None: the board decides it, as the size of the memory.
    cpus: Option<u32>,
    memory_bytes: Option<u64>,
    disks: Vec<Disk>,
    /// The restart policy, such as `on-failure`.
    restart: qemuctl::config::Restart,
    /// How the last run ended, in words.
    ended: Option<String>,
    /// The record of the last run.
    last_run: Option<LastRun>,
}

#[derive(Serialize)]
struct Disk {
    file: PathBuf,
    /// The space used on the host, in bytes.
    allocated_bytes: Option<u64>,
}

#[expect(clippy::unused_async, reason = "as all commands that do something")]
pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let machine = args.named.machine()?;
    let status = machine.status()?;
    let file = machine.config()?;
    let config = file.config();
    let disks = config.disks.iter().filter_map(|disk| match &disk.backend {
        DiskBackend::File(FileDisk { path }) | DiskBackend::HostDevice(HostDeviceDisk { path }) => {
            Some(Disk {
                allocated_bytes: std::fs::metadata(path).ok().map(|facts| allocated(&facts)),
                file: path.clone(),
            })
        }
        _ => None,
    });
    let pid = status.record().map(|record| record.pid);
    let info = Info {
        name: machine.name().to_owned(),
        state: state(&status),
        folder: machine.folder().to_owned(),
        pid,
        keeper: status.keeper.filter(|&pid| pid != 0),
        uptime_s: pid.and_then(uptime_s),
        cpus: config.cpu_count(),
        memory_bytes: config.memory_size().map(Size::to_bytes),
        disks: disks.collect(),
        restart: file.keep().restart,
        ended: ended(&status),
        last_run: status.run,
    };
    context.show(&info, text(&info).trim_end())?;
    if info.pid.is_some() && info.keeper.is_none() {
        context.warn(format_args!(
            "{name} has no keeper, so its exit reason will not be recorded; run `qemuctl adopt {name}`",
            name = info.name
        ));
    }
    Ok(Exit::Done)
}

fn allocated(facts: &std::fs::Metadata) -> u64 {
    std::os::unix::fs::MetadataExt::blocks(facts) * 512
}

fn text(info: &Info) -> String {
    let mut out = format!("{}: {}\n", info.name, info.state);
    let mut line = |key: &str, value: String| {
        // Writing to a String cannot fail.
        let _ = writeln!(out, "  {key:<10} {value}");
    };
    line("folder", info.folder.display().to_string());
    if let Some(pid) = info.pid {
        let uptime = info.uptime_s.map(|seconds| format!(", up {}", Uptime(seconds))).unwrap_or_default();
        line("process", format!("{pid}{uptime}"));
    }
    if let Some(keeper) = info.keeper {
        line("keeper", keeper.to_string());
    }
    if let Some(cpus) = info.cpus {
        line("cpus", cpus.to_string());
    }
    if let Some(memory) = info.memory_bytes {
        line("memory", size(memory));
    }
    for disk in &info.disks {
        let size = match disk.allocated_bytes {
            Some(bytes) => format!(" ({} on the host)", size(bytes)),
            None => " (missing)".to_owned(),
        };
        line("disk", format!("{}{size}", disk.file.display()));
    }
    if info.restart != qemuctl::config::Restart::No {
        let word = serde_json::to_value(info.restart).unwrap_or_default();
        line("restart", word.as_str().unwrap_or_default().to_owned());
    }
    if let Some(run) = &info.last_run {
        line("started", moment(run.started_ms));
        let ago = ago_s(run).map(|seconds| format!(", {} ago", Uptime(seconds))).unwrap_or_default();
        if let Some(ended) = &info.ended {
            line("ended", format!("{ended}{ago}"));
        }
    }
    out
}
