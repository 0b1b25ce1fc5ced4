//! `kill`: ends a VM whatever state it is in.

use std::time::Duration;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use qemuctl::runtime::Record;
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::vm::Vm;

/// End a VM at once, as a power cut would
///
/// Works also when QEMU hangs or another program has its monitor.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,
}

/// How long the kernel may take to clear a killed process away.
const GONE_WITHIN: Duration = Duration::from_secs(10);

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let Some(record) = args.vm.record(context)? else {
        // Not ours, or not there: the monitor knows.
        let vm = args.vm.attach(context).await?;
        let reason = vm.kill().await?;
        context.note(format_args!("{} has ended: {reason}", vm.name()));
        return Ok(Exit::Done);
    };
    end(&record)?;
    context.note(format_args!("{} is killed", record.name));
    Ok(Exit::Done)
}

/// Kills the process of a record: that one, or none.
fn end(record: &Record) -> Result<(), Failure> {
    let fail = |error: std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot kill process {} of {}: {error}", record.pid, record.name))
    };
    let pid = i32::try_from(record.pid).ok().and_then(Pid::from_raw);
    let pid = pid.ok_or_else(|| fail(std::io::ErrorKind::InvalidData.into()))?;
    let process = match pidfd_open(pid, PidfdFlags::empty()) {
        Ok(process) => process,
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        Err(error) => return Err(fail(error.into())),
    };
    // Looked at again now that the descriptor holds the process: its number may have gone to another one before.
    if !record.is_alive() {
        return Ok(());
    }
    pidfd_send_signal(&process, Signal::KILL).map_err(|error| fail(error.into()))?;
    let timeout = PollTimeout::try_from(GONE_WITHIN).unwrap_or(PollTimeout::MAX);
    let mut watched = [PollFd::new(std::os::fd::AsFd::as_fd(&process), PollFlags::POLLIN)];
    match poll(&mut watched, timeout) {
        Ok(0) => Err(Failure::new(
            Exit::TimedOut,
            format!(
                "{} is killed, but hangs in the kernel: process {} is still there",
                record.name, record.pid
            ),
        )),
        _ => Ok(()),
    }
}
