//! `insert`, `eject` and `throttle`: disks of a VM that runs.

use std::path::PathBuf;

use clap::ValueHint;
use qemu_argv::Size;
use qemuctl::{IoBurst, IoLimits};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::vm::Vm;

/// Put an image into a CD-ROM drive of a VM
#[derive(clap::Args, Debug)]
pub(crate) struct Insert {
    #[command(flatten)]
    vm: Vm,

    /// The drive, such as cdrom0
    drive: String,

    /// The image
    #[arg(value_hint = ValueHint::FilePath)]
    image: PathBuf,

    /// What the image's bytes mean
    #[arg(long, default_value = "raw")]
    format: String,
}

/// Take out what is in a CD-ROM drive of a VM
#[derive(clap::Args, Debug)]
pub(crate) struct Eject {
    #[command(flatten)]
    vm: Vm,

    /// The drive, such as cdrom0
    drive: String,
}

/// Limit how much a disk of a VM reads and writes
///
/// The limits replace all earlier ones; none given removes them.
#[derive(clap::Args, Debug)]
pub(crate) struct Throttle {
    #[command(flatten)]
    vm: Vm,

    /// The disk, such as disk0
    disk: String,

    /// Bytes a second, reading and writing together, such as 100M
    #[arg(long, value_name = "SIZE")]
    bytes: Option<Size>,

    /// Bytes a second, reading
    #[arg(long, value_name = "SIZE", conflicts_with = "bytes")]
    read_bytes: Option<Size>,

    /// Bytes a second, writing
    #[arg(long, value_name = "SIZE", conflicts_with = "bytes")]
    write_bytes: Option<Size>,

    /// Requests a second, reading and writing together
    #[arg(long, value_name = "COUNT")]
    requests: Option<u64>,

    /// Bytes a second for a moment, at least --bytes
    #[arg(long, value_name = "SIZE", requires = "bytes")]
    burst_bytes: Option<Size>,

    /// How long such a moment lasts, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1, requires = "burst_bytes")]
    burst_seconds: u64,
}

pub(crate) async fn insert(args: Insert, context: &Context) -> Result<Exit, Failure> {
    // QEMU may run in another folder.
    let image = args.image.canonicalize().map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot open the image {}: {error}", args.image.display()))
    })?;
    let vm = args.vm.attach(context).await?;
    vm.change_medium(&args.drive, &image, &args.format).await?;
    context.note(format_args!("{} is in {} of {}", image.display(), args.drive, vm.name()));
    Ok(Exit::Done)
}

pub(crate) async fn eject(args: Eject, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    vm.eject(&args.drive).await?;
    context.note(format_args!("{} of {} is empty", args.drive, vm.name()));
    Ok(Exit::Done)
}

pub(crate) async fn throttle(args: Throttle, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let bytes = |size: Option<Size>| size.map_or(0, Size::to_bytes);
    let limits = IoLimits {
        bytes_total: bytes(args.bytes),
        bytes_read: bytes(args.read_bytes),
        bytes_write: bytes(args.write_bytes),
        requests_total: args.requests.unwrap_or_default(),
        burst: args.burst_bytes.map(|size| IoBurst {
            bytes_total: size.to_bytes(),
            seconds: args.burst_seconds,
            ..IoBurst::default()
        }),
        ..IoLimits::default()
    };
    vm.set_io_limits(&args.disk, limits).await?;
    let what = if limits == IoLimits::default() { "has no limits" } else { "is limited" };
    context.note(format_args!("{} of {} {what}", args.disk, vm.name()));
    Ok(Exit::Done)
}
