//! `block add` and `block remove`: disks that come and go while the guest runs.

use std::path::PathBuf;

use clap::ValueHint;
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

/// Plug a disk into a VM
///
/// It gets a free place that takes hotplug; its id is printed, by which `remove` takes it out again. It is gone after
/// the VM's next start: the config does not have it.
#[derive(clap::Args, Debug)]
pub(super) struct Add {
    #[command(flatten)]
    vm: Vm,

    /// The disk image
    #[arg(value_hint = ValueHint::FilePath)]
    image: PathBuf,

    /// The disk's id. Left out: the next one, such as disk1
    #[arg(long)]
    id: Option<String>,

    /// What the image's bytes mean, such as raw or qcow2. Left out: what the ending of its name says
    #[arg(long, value_parser = word::<BlockFormat>)]
    format: Option<BlockFormat>,

    /// What the guest sees: virtio, virtio-scsi, nvme or usb
    #[arg(long, value_parser = word::<DiskInterface>)]
    interface: Option<DiskInterface>,

    /// The serial number that the guest reads from it
    #[arg(long)]
    serial: Option<String>,

    /// Let nobody write to it
    #[arg(long)]
    read_only: bool,
}

/// Take a disk out of a VM
///
/// The guest must let go of it: unmount it there first. Its image is closed then, and kept.
#[derive(clap::Args, Debug)]
pub(super) struct Remove {
    #[command(flatten)]
    vm: Vm,

    /// The disk, such as disk1
    disk: String,

    /// How long the guest may take to let go of it
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
        context.note(format_args!("{shown} is {id} of {}", vm.name()));
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
    let progress = Progress::start(context, format!("waiting for the guest to let go of {}", args.disk));
    let removed = vm.unplug(&args.disk, args.timeout.0).await;
    progress.finish();
    match removed {
        Ok(()) => {}
        Err(error @ Error::StillPlugged { .. }) => {
            return Err(Failure::from(error).with_help(
                "unmount it in the guest, and try again; a guest without a running system never lets go",
            ));
        }
        Err(error) => return Err(error.into()),
    }
    context.note(format_args!("{} of {} is out", args.disk, vm.name()));
    Ok(Exit::Done)
}

/// A word as config files have it. One that does not exist is answered with those that do.
fn word<T: DeserializeOwned>(text: &str) -> Result<T, String> {
    serde_json::from_value(text.into()).map_err(|error| error.to_string())
}
