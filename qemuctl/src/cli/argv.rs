//! `argv`: QEMU's command line for a machine, without starting it.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use clap::ValueHint;
use qemu_argv::{Endpoints, Plan, replan};
use qemuctl::launch::Qemu;
use serde::Serialize;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::machine::MachineArgs;

/// Print QEMU's command line for a VM, without starting it
///
/// The output can be pasted into a shell: the monitor, the console and the agent are sockets in the socket directory.
/// `run` and `start` use the same devices, but pass the monitor as an open file descriptor.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    #[command(flatten)]
    machine: MachineArgs,

    /// Print the plan (ids, addresses, sockets) instead, as JSON
    #[arg(long)]
    plan: bool,

    /// Keep the ids and addresses of an earlier plan, as printed by `--plan`
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    from_plan: Option<PathBuf>,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Rendered<'a> {
    /// The program.
    program: &'a Path,
    #[serde(flatten)]
    command_line: &'a qemu_argv::CommandLine,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let loaded = args.machine.load()?;
    let qemu = Qemu::find(&loaded.config).await?;
    context.detail(format_args!("{} {}: {}", qemu.program.display(), qemu.target.version, qemu.why));
    if let Some(warning) = &qemu.warning {
        context.warn(warning);
    }
    let socket_dir = match (context.chosen_dir(), &loaded.config.socket_dir) {
        (None, Some(dir)) => dir.clone(),
        _ => std::path::absolute(context.dir()?)?,
    };
    let endpoints = Endpoints { socket_dir: Some(socket_dir), ..Endpoints::default() };
    let config = loaded.complete(&qemu)?;
    let earlier = args.from_plan.as_deref().map(read_plan).transpose()?;
    let plan = replan(&config, &qemu.target, &endpoints, earlier.as_ref())
        .map_err(|error| loaded.explain(&error))?;
    if args.plan {
        context.print_json(&plan)?;
        return Ok(Exit::Done);
    }
    let command_line = plan.command_line();
    if context.json {
        context.print_json(&Rendered { program: &qemu.program, command_line: &command_line })?;
    } else {
        let program = shell_word(&qemu.program.to_string_lossy());
        context.print_exactly(format_args!("{program} \\\n{}", indented(&command_line.to_string())))?;
    }
    Ok(Exit::Done)
}

/// Larger than any plan. The limit keeps a disk image that was given by mistake from being read whole.
const LARGEST: u64 = 64 << 20;

fn read_plan(path: &Path) -> Result<Plan, Failure> {
    let fail = |error: std::io::Error| {
        Failure::new(Exit::BadConfig, format!("cannot read the plan {}: {error}", path.display()))
            .with_help("give a file written by `qemuctl argv --plan`")
    };
    let mut text = String::new();
    File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text)).map_err(fail)?;
    serde_json::from_str(&text).map_err(|error| fail(error.into()))
}

fn indented(script: &str) -> String {
    script.lines().map(|line| format!("  {}", line.trim_start())).collect::<Vec<_>>().join("\n")
}

/// Quotes a word for a shell.
fn shell_word(text: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "/._-+=:@%".contains(c);
    if !text.is_empty() && text.chars().all(plain) {
        text.to_owned()
    } else {
        format!("'{}'", text.replace('\'', r"'\''"))
    }
}
