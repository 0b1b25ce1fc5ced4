//! `block`: the disks and drives of a running VM.

mod disks;
mod hotplug;

pub(crate) use disks::{Disk, disks, explain};

use std::path::PathBuf;

use clap::ValueHint;
use clap_complete::{ArgValueCandidates, ArgValueCompleter};
use qemu_argv::{BlockFormat, Size};
use qmp_proto::BlockResize;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::table::{Table, size};
use super::vm::Vm;

use disks::missing_disk;

/// List and change the disks of a running VM
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(subcommand)]
    action: Action,
}

#[derive(clap::Subcommand, Debug)]
enum Action {
    List(List),
    #[command(visible_alias = "attach")]
    Add(hotplug::Add),
    #[command(visible_alias = "detach")]
    Remove(hotplug::Remove),
    #[command(visible_alias = "change")]
    Insert(Insert),
    Eject(Eject),
    Resize(Resize),
}

/// List the disks and drives of a VM
#[derive(clap::Args, Debug)]
struct List {
    #[command(flatten)]
    vm: Vm,
}

/// Insert an image into a CD-ROM drive, replacing the current medium
#[derive(clap::Args, Debug)]
struct Insert {
    #[command(flatten)]
    vm: Vm,

    /// Drive id, such as cdrom0
    #[arg(add = ArgValueCompleter::new(super::complete::disks))]
    drive: String,

    /// Image file
    #[arg(value_hint = ValueHint::FilePath)]
    image: PathBuf,

    /// Image format [default: raw]
    #[arg(long, value_parser = super::image::format, add = ArgValueCandidates::new(|| super::complete::values("disks.format")))]
    format: Option<BlockFormat>,
}

/// Eject the medium of a CD-ROM drive
#[derive(clap::Args, Debug)]
struct Eject {
    #[command(flatten)]
    vm: Vm,

    /// Drive id, such as cdrom0
    #[arg(add = ArgValueCompleter::new(super::complete::disks))]
    drive: String,
}

/// Resize a disk
///
/// The guest sees the new size at once. Its partitions and file systems have to be enlarged inside the guest.
#[derive(clap::Args, Debug)]
struct Resize {
    #[command(flatten)]
    vm: Vm,

    /// Disk id, such as disk0
    #[arg(add = ArgValueCompleter::new(super::complete::disks))]
    disk: String,

    /// New size, such as 20G
    size: Size,

    /// Allow shrinking, which destroys the data beyond the new size
    #[arg(long)]
    shrink: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    match args.action {
        Action::List(args) => list(args, context).await,
        Action::Add(args) => hotplug::add(args, context).await,
        Action::Remove(args) => hotplug::remove(args, context).await,
        Action::Insert(args) => insert(args, context).await,
        Action::Eject(args) => eject(args, context).await,
        Action::Resize(args) => resize(args, context).await,
    }
}

async fn list(args: List, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let disks = disks(&vm).await?;
    if context.json {
        context.print_json(&disks)?;
    } else if disks.is_empty() {
        context.note(format_args!("{} has no disks", vm.name()));
    } else {
        let size = |bytes: Option<u64>| bytes.map(size).unwrap_or_default();
        let mut table = Table::new(["NAME", "SIZE", "USED", "FORMAT", "MODE", "FILE"]);
        for disk in disks {
            let modes =
                [("ro", disk.read_only), ("removable", disk.removable), ("throttled", disk.throttled)];
            let modes: Vec<&str> = modes.iter().filter(|(_, is)| *is).map(|(mode, _)| *mode).collect();
            table.row([
                disk.id,
                size(disk.size_bytes),
                size(disk.used_bytes),
                disk.format.unwrap_or_default(),
                if modes.is_empty() { "rw".to_owned() } else { modes.join(",") },
                disk.file.unwrap_or_else(|| "(empty)".to_owned()),
            ]);
        }
        context.print(table)?;
    }
    Ok(Exit::Done)
}

async fn insert(args: Insert, context: &Context) -> Result<Exit, Failure> {
    // QEMU may run in another folder.
    let image = args.image.canonicalize().map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot open the image {}: {error}", args.image.display()))
    })?;
    super::image::check_medium(&image, args.format)?;
    let vm = args.vm.attach(context).await?;
    if disks(&vm).await?.iter().any(|disk| disk.id == args.drive && !disk.removable) {
        let text =
            format!("cannot change the medium of {} of {}: it is a disk, not a drive", args.drive, vm.name());
        return Err(Failure::new(Exit::Failed, text).with_help(
            "`qemuctl block add` attaches another disk; drives are listed under `cdroms` in the config",
        ));
    }
    if let Err(error) =
        vm.change_medium(&args.drive, &image, args.format.unwrap_or(BlockFormat::Raw).qemu_name()).await
    {
        return Err(explain(error, &vm, &args.drive).await);
    }
    context.note(format_args!("inserted {} into {} of {}", image.display(), args.drive, vm.name()));
    Ok(Exit::Done)
}

async fn eject(args: Eject, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    if let Err(error) = vm.eject(&args.drive).await {
        return Err(explain(error, &vm, &args.drive).await);
    }
    context.note(format_args!("ejected the medium of {} of {}", args.drive, vm.name()));
    Ok(Exit::Done)
}

async fn resize(args: Resize, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let disks = disks(&vm).await?;
    let Some(disk) = disks.iter().find(|disk| disk.id == args.disk) else {
        let text = format!("{} has no disk {}", vm.name(), args.disk);
        return Err(missing_disk(Failure::new(Exit::Failed, text), &disks, &args.disk));
    };
    let (Some(node), Some(before)) = (&disk.node, disk.size_bytes) else {
        return Err(Failure::new(Exit::Failed, format!("{} of {} has no medium", args.disk, vm.name())));
    };
    let after = args.size.to_bytes();
    if after < before && !args.shrink {
        let text = format!(
            "shrinking {} of {} from {} to {} would destroy data",
            args.disk,
            vm.name(),
            size(before),
            args.size
        );
        return Err(Failure::new(Exit::Failed, text).with_help("use --shrink to do it anyway"));
    }
    let size = i64::try_from(after)
        .map_err(|_| Failure::new(Exit::Usage, format!("size {} is too large", args.size)))?;
    let mut command = BlockResize::new(size);
    command.node_name = Some(node.clone());
    vm.execute(command).await?;
    context.note(format_args!("resized {} of {} to {}", args.disk, vm.name(), args.size));
    Ok(Exit::Done)
}
