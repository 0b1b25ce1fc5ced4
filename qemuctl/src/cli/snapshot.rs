//! `snapshot`: the snapshots of a machine, running or off.

use std::time::{Duration, UNIX_EPOCH};

use clap_complete::ArgValueCompleter;
use qemuctl::config::VmConfig;
use qemuctl::home::Hold;
use qemuctl::image::QemuImg;
use qemuctl::snapshot::{DiskSet, Quiesce, Snapshot, SnapshotOptions, SnapshotReport, free_tag};
use qemuctl::{Error, Instance};

use super::complete;
use super::confirm::is_sure;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::table::{Table, size};
use super::uptime::Uptime;
use super::vm::Vm;

/// Take, list, delete and go back to snapshots of a machine
///
/// A snapshot contains all writable disks, which must be qcow2 images, and the memory if the machine runs. It is stored
/// in the images.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    Create(Create),
    #[command(visible_alias = "ls")]
    List(List),
    Revert(Change),
    #[command(visible_alias = "rm")]
    Delete(Change),
}

/// Take a snapshot
///
/// A running guest stands still while its memory is saved. With --disks-only it continues, and its file systems are
/// frozen for a moment if its guest agent answers.
#[derive(clap::Args, Debug)]
struct Create {
    #[command(flatten)]
    machine: Machine,

    /// Snapshot name [default: s1, s2, …]
    tag: Option<String>,

    /// Do not save the memory of a running machine
    #[arg(long)]
    disks_only: bool,

    /// Whether to freeze file systems with --disks-only
    #[arg(long, value_name = "WHEN", default_value = "auto", requires = "disks_only")]
    quiesce: When,
}

#[derive(clap::ValueEnum, Clone, Copy, Debug)]
enum When {
    /// If the guest agent answers
    Auto,
    /// Fail without the guest agent
    Always,
    Never,
}

/// List the snapshots of a machine
#[derive(clap::Args, Debug)]
struct List {
    #[command(flatten)]
    machine: Machine,
}

/// Change a snapshot
#[derive(clap::Args, Debug)]
struct Change {
    #[command(flatten)]
    machine: Machine,

    /// Snapshot name
    tag: String,

    /// Do not ask for confirmation
    #[arg(short, long)]
    yes: bool,
}

#[derive(clap::Args, Debug)]
struct Machine {
    /// Machine or VM name, or path of a monitor socket
    #[arg(value_name = "VM", add = ArgValueCompleter::new(complete::vms_and_machines))]
    vm: String,
}

/// A machine that runs, or the images of one that is off.
enum Found {
    Running(Instance),
    Off { disks: DiskSet, tool: QemuImg, _hold: Box<Hold> },
}

impl Machine {
    async fn find(&self, context: &Context) -> Result<Found, Failure> {
        let vm = Vm::named(self.vm.clone());
        if self.vm.contains('/') || vm.record(context)?.is_some() {
            return Ok(Found::Running(vm.attach(context).await?));
        }
        let machine = match super::home::machine(&self.vm) {
            Ok(machine) => machine,
            // Without machines, only a VM can be meant.
            Err(failure) if !complete::machine_names("".as_ref()).is_empty() => return Err(failure),
            Err(_) => return Ok(Found::Running(vm.attach(context).await?)),
        };
        let hold = machine.hold()?;
        let config: VmConfig = machine.config()?.into_config();
        let disks = DiskSet::of(&config)?;
        let vars = machine.file("vars.qcow2");
        let disks = if vars.exists() { disks.with_vars(vars) } else { disks };
        Ok(Found::Off { disks, tool: QemuImg::find()?, _hold: Box::new(hold) })
    }

    fn missing(&self, tag: &str) -> Error {
        Error::Missing { name: self.vm.clone(), what: format!("snapshot called {tag:?}") }
    }
}

impl Found {
    async fn snapshots(&self) -> Result<Vec<Snapshot>, Failure> {
        match self {
            Self::Running(vm) => Ok(vm.snapshots().await?),
            Self::Off { disks, tool, .. } => Ok(disks.snapshots(tool).await?),
        }
    }
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    match args.action {
        Action::Create(args) => create(args, context).await,
        Action::List(args) => list(args, context).await,
        Action::Revert(args) => revert(args, context).await,
        Action::Delete(args) => delete(args, context).await,
    }
}

async fn create(args: Create, context: &Context) -> Result<Exit, Failure> {
    let found = args.machine.find(context).await?;
    let tag = match args.tag {
        Some(tag) => tag,
        None => free_tag(&found.snapshots().await?),
    };
    let report = match &found {
        Found::Running(vm) => {
            let quiesce = match args.quiesce {
                When::Auto => Quiesce::Auto,
                When::Always => Quiesce::Always,
                When::Never => Quiesce::Never,
            };
            vm.create_snapshot(&tag, &SnapshotOptions { memory: !args.disks_only, quiesce }).await?
        }
        Found::Off { disks, tool, .. } => SnapshotReport::of(disks.create(tool, &tag).await?),
    };
    if context.json {
        context.print_json(&report)?;
        return Ok(Exit::Done);
    }
    let what = match (&found, report.snapshot.has_memory(), report.quiesced) {
        (Found::Off { .. }, ..) => "disks",
        (_, true, _) => "memory and disks",
        (_, false, true) => "disks, with frozen file systems",
        (_, false, false) => "disks, without freezing file systems",
    };
    context.note(format_args!("took the snapshot {} of {} ({what})", report.snapshot.tag, args.machine.vm));
    Ok(Exit::Done)
}

async fn list(args: List, context: &Context) -> Result<Exit, Failure> {
    let snapshots = args.machine.find(context).await?.snapshots().await?;
    if context.json {
        context.print_json(&snapshots)?;
    } else if snapshots.is_empty() {
        context.note(format_args!("{} has no snapshots", args.machine.vm));
    } else {
        let mut table = Table::new(["NAME", "TAKEN", "UPTIME", "MEMORY", "MISSING"]);
        for snapshot in snapshots {
            let taken = UNIX_EPOCH + Duration::from_secs(snapshot.created);
            table.row([
                snapshot.tag.clone(),
                humantime::format_rfc3339_seconds(taken).to_string(),
                if snapshot.has_memory() {
                    Uptime(snapshot.guest_time.as_secs()).to_string()
                } else {
                    String::new()
                },
                if snapshot.has_memory() { size(snapshot.memory_bytes) } else { String::new() },
                snapshot.missing.join(" "),
            ]);
        }
        context.print(&table)?;
    }
    Ok(Exit::Done)
}

async fn revert(args: Change, context: &Context) -> Result<Exit, Failure> {
    let (name, tag) = (&args.machine.vm, &args.tag);
    let found = args.machine.find(context).await?;
    if !found.snapshots().await?.iter().any(|snapshot| snapshot.tag == *tag) {
        return Err(args.machine.missing(tag).into());
    }
    if !args.yes && !is_sure(&format!("discard everything that happened in {name} since {tag}"))? {
        context.note(format_args!("{name} was not changed"));
        return Ok(Exit::Done);
    }
    match found {
        Found::Running(vm) => {
            vm.revert_to_snapshot(tag).await?;
            context.note(format_args!("{name} is back at {tag}, and {}", vm.state()));
        }
        Found::Off { disks, tool, .. } => {
            let snapshot = disks.revert(&tool, tag).await?.ok_or_else(|| args.machine.missing(tag))?;
            let boots =
                if snapshot.has_memory() { "; its memory is not restored, the guest will boot" } else { "" };
            context.note(format_args!("the disks of {name} are back at {tag}{boots}"));
        }
    }
    Ok(Exit::Done)
}

async fn delete(args: Change, context: &Context) -> Result<Exit, Failure> {
    let (name, tag) = (&args.machine.vm, &args.tag);
    let found = args.machine.find(context).await?;
    if !found.snapshots().await?.iter().any(|snapshot| snapshot.tag == *tag) {
        return Err(args.machine.missing(tag).into());
    }
    if !args.yes && !is_sure(&format!("delete the snapshot {tag} of {name}"))? {
        context.note(format_args!("kept {tag}"));
        return Ok(Exit::Done);
    }
    match found {
        Found::Running(vm) => drop(vm.delete_snapshot(tag).await?),
        Found::Off { disks, tool, .. } => drop(disks.delete(&tool, tag).await?),
    }
    context.note(format_args!("deleted the snapshot {tag} of {name}"));
    Ok(Exit::Done)
}
