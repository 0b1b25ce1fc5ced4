//! `throttle`: limits the I/O of a disk.

use clap_complete::ArgValueCompleter;
use qemu_argv::Size;
use qemuctl::control::{IoBurst, IoLimits};

use super::block::explain;
use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::vm::Vm;

/// Limit the I/O of a VM's disk
///
/// Replaces all earlier limits. Without any limit, they are removed.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// Disk id, such as disk0
    #[arg(add = ArgValueCompleter::new(super::complete::disks))]
    disk: String,

    /// Bytes per second, reads and writes together, such as 100M
    #[arg(long, value_name = "SIZE")]
    bytes: Option<Size>,

    /// Bytes per second, reads
    #[arg(long, value_name = "SIZE", conflicts_with = "bytes")]
    read_bytes: Option<Size>,

    /// Bytes per second, writes
    #[arg(long, value_name = "SIZE", conflicts_with = "bytes")]
    write_bytes: Option<Size>,

    /// Requests per second, reads and writes together
    #[arg(long, value_name = "COUNT")]
    requests: Option<u64>,

    /// Requests per second, reads
    #[arg(long, value_name = "COUNT", conflicts_with = "requests")]
    read_requests: Option<u64>,

    /// Requests per second, writes
    #[arg(long, value_name = "COUNT", conflicts_with = "requests")]
    write_requests: Option<u64>,

    /// Bytes per second in a burst, at least --bytes
    #[arg(long, value_name = "SIZE", requires = "bytes")]
    burst_bytes: Option<Size>,

    /// Requests per second in a burst, at least --requests
    #[arg(long, value_name = "COUNT", requires = "requests")]
    burst_requests: Option<u64>,

    /// How long such a moment lasts, in seconds
    #[arg(long, value_name = "SECONDS", default_value_t = 1, value_parser = clap::value_parser!(u64).range(1..))]
    burst_seconds: u64,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let vm = args.vm.attach(context).await?;
    let bytes = |size: Option<Size>| size.map_or(0, Size::to_bytes);
    let requests = Option::unwrap_or_default;
    let burst = IoBurst {
        bytes_total: bytes(args.burst_bytes),
        requests_total: requests(args.burst_requests),
        seconds: args.burst_seconds,
        ..IoBurst::default()
    };
    let limits = IoLimits {
        bytes_total: bytes(args.bytes),
        bytes_read: bytes(args.read_bytes),
        bytes_write: bytes(args.write_bytes),
        requests_total: requests(args.requests),
        requests_read: requests(args.read_requests),
        requests_write: requests(args.write_requests),
        burst: (burst.bytes_total > 0 || burst.requests_total > 0).then_some(burst),
    };
    if let Err(error) = vm.set_io_limits(&args.disk, limits).await {
        return Err(explain(error, &vm, &args.disk).await);
    }
    let what = if limits == IoLimits::default() { "removed the limits of" } else { "limits set on" };
    context.note(format_args!("{what} {} of {}", args.disk, vm.name()));
    Ok(Exit::Done)
}
