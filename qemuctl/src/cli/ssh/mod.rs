//! `ssh` and `ssh-config`: logs in to a guest.

mod access;
mod ready;

use std::ffi::OsString;
use std::os::unix::process::CommandExt;

use clap::ValueHint;
use qemuctl::runtime::Record;

use super::context::Context;
use super::duration::Span;
use super::exit::Exit;
use super::failure::Failure;
use super::vm::Vm;

use access::Access;

/// Log in to a guest by SSH
///
/// The machine's config needs a section `guest`, or the VM must have been started with --user; without them, --user
/// here logs in with your own keys. Waits until the guest accepts logins. The exit code is that of COMMAND. Requires
/// the OpenSSH client, `ssh`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    vm: Vm,

    /// Command to run in the guest [default: a shell]
    #[arg(trailing_var_arg = true, value_hint = ValueHint::CommandWithArguments)]
    command: Vec<OsString>,

    /// User to log in as [default: that of the machine's config]
    #[arg(long, value_name = "NAME")]
    user: Option<String>,

    /// How long to wait until the guest accepts logins
    #[arg(long, value_name = "DURATION", default_value = "5m")]
    timeout: Span,
}

/// Print SSH client settings for running VMs
///
/// With them in a file that `~/.ssh/config` includes, programs such as scp, rsync and editors reach a guest as `NAME`.
/// The ports change when a VM is restarted, unless the config sets them.
#[derive(clap::Args, Debug)]
pub(crate) struct ConfigArgs {
    /// VM names [default: all running VMs with a login]
    #[arg(value_name = "VM", add = clap_complete::ArgValueCompleter::new(super::complete::vm_names))]
    vms: Vec<String>,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let mut access = Access::to(&args.vm, args.user, context).await?;
    ready::wait(&mut access, args.timeout, context).await?;
    let mut ssh = access.command();
    ssh.arg(&access.destination);
    if !args.command.is_empty() {
        ssh.arg("--").args(&args.command);
    }
    // In place of this program, so that signals, the terminal and the exit code are those of `ssh`.
    Err(access::not_started(&ssh.exec()))
}

pub(crate) async fn config(args: ConfigArgs, context: &Context) -> Result<Exit, Failure> {
    let names = if args.vms.is_empty() {
        let records = Record::all(&context.dir()?)?;
        records.into_iter().filter(|one| one.ssh.is_some() && one.is_visible()).map(|one| one.name).collect()
    } else {
        args.vms
    };
    let mut entries = Vec::new();
    for name in names {
        entries.push(Access::to(&Vm::named(name), None, context).await?);
    }
    if context.json {
        context.print_json(&entries)?;
    } else {
        let texts: Vec<_> = entries.iter().map(Access::to_string).collect();
        context.print(texts.join("\n"))?;
    }
    Ok(Exit::Done)
}
