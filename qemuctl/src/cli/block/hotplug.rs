//! `block add` and `block remove`: disk hotplug.

use std::path::PathBuf;

use clap::ValueHint;
use clap_complete::{ArgValueCandidates, ArgValueCompleter};
use qemu_argv::{BlockFormat, Disk, DiskInterface};
use qemuctl::Error;
use serde::Serialize;
use serde::de::DeserializeOwned;

use super::super::context::Context;
use super::super::duration::Span;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::image::check_format;
use super::super::machine::absolute;
use super::super::progress::Progress;
use super::super::vm::Vm;
use super::disks::{disks, missing_disk};

/// Attach a disk to a running VM
///
/// The disk is placed on a free hotplug port. Prints its id, which `block remove` takes. The change is not written to
/// the config, so the disk is absent after the next start.
#[derive(clap::Args, Debug)]
pub(super) struct Add {
    #[command(flatten)]
    vm: Vm,

    /// The disk image
    #[arg(value_hint = ValueHint::FilePath)]
    image: PathBuf,

    /// The disk's id [default: the next free one, such as disk1]
    #[arg(long)]
    id: Option<String>,

    /// Image format, such as raw or qcow2 [default: by file name extension]
    #[arg(long, value_parser = word::<BlockFormat>, add = ArgValueCandidates::new(|| super::super::complete::values("disks.format")))]
    format: Option<BlockFormat>,

    /// Kind of disk the guest sees: virtio, virtio-scsi, nvme or usb
    #[arg(long, value_parser = word::<DiskInterface>, add = ArgValueCandidates::new(|| super::super::complete::values("disks.interface")))]
    interface: Option<DiskInterface>,

    /// Serial number of the disk
    #[arg(long)]
    serial: Option<String>,

    /// Attach read-only
    #[arg(long)]
    read_only: bool,
}

/// Detach a disk from a running VM
///
/// The guest has to release the disk, so unmount it there first. The image file is closed and kept.
#[derive(clap::Args, Debug)]
pub(super) struct Remove {
    #[command(flatten)]
    vm: Vm,

    /// Disk id, such as disk1
    #[arg(add = ArgValueCompleter::new(super::super::complete::disks))]
    disk: String,

    /// How long to wait for the guest to release it
    #[arg(short, long, value_name = "DURATION", default_value = "30s")]
    timeout: Span,
}

/// What `block add --json` prints.
#[derive(Serialize)]
struct Added<'a> {
    id: &'a str,
}

pub(super) async fn add(args: Add, context: &Context) -> Result<Exit, Failure> {
    check_format(&args.image, args.format)?;
    // QEMU may run in another folder.
    let image = absolute(&args.image)?;
    let shown = image.display().to_string();
    let disk = Disk {
        id: args.id,
        format: args.format,
        interface: args.interface.unwrap_or_default(),
        serial: args.serial,
        read_only: args.read_only,
        ..Disk::file(image)
    };
    let vm = args.vm.attach(context).await?;
    let id = vm.plug(&disk).await?;
    if context.json {
        context.print_json(&Added { id: &id })?;
    } else {
        context.note(format_args!("attached {shown} to {} as {id}", vm.name()));
    }
    Ok(Exit::Done)
}

pub(super) async fn remove(args: Remove, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let disks = disks(&vm).await?;
    if !disks.iter().any(|disk| disk.id == args.disk) {
        let text = format!("{} has no disk {}", vm.name(), args.disk);
        return Err(missing_disk(Failure::new(Exit::Failed, text), &disks, &args.disk));
    }
    let progress = Progress::start(context, format!("waiting for the guest to release {}", args.disk));
    let removed = vm.unplug(&args.disk, args.timeout.0).await;
    progress.finish();
    match removed {
        Ok(()) => {}
        Err(error @ Error::StillPlugged { .. }) => {
            return Err(Failure::from(error).with_help(
                "unmount it in the guest and try again; a guest without a running operating system never releases a disk",
            ));
        }
        Err(error) => return Err(error.into()),
    }
    context.note(format_args!("removed {} from {}", args.disk, vm.name()));
    Ok(Exit::Done)
}

/// Parses a word of the config language; the error lists the words that exist.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}
