//! `cp`: copies files into and out of a guest.

mod here;

use std::fs::Metadata;
use std::os::unix::fs::PermissionsExt;
use std::time::Instant;

use clap::ValueHint;
use clap_complete::ArgValueCompleter;
use qemuctl::{
    Agent, Error, Instance,
    guest::{CopyReport, GuestChecksum},
    qmp_client::ClientError,
};
use serde::Serialize;

use super::agent::{self, ask};
use super::complete;
use super::context::Context;
use super::duration::Span;
use super::exit::Exit;
use super::failure::Failure;
use super::progress::Progress;
use super::signals::Signals;
use super::table::size;
use super::vm::Vm;

use here::{End, Sink, Source, cannot_write};

/// Copy a file into or out of a guest
///
/// VM:PATH is a file in the guest, as for scp: `qemuctl cp app.tar web:/tmp/`. Use - for standard input or output. The
/// guest needs the QEMU guest agent. Permissions are copied, and the checksum is verified if the guest has `sha256sum`.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// File to copy
    #[arg(value_name = "[VM:]SOURCE", value_hint = ValueHint::FilePath, add = ArgValueCompleter::new(complete::guest_paths))]
    source: String,

    /// Destination file or directory
    #[arg(value_name = "[VM:]TARGET", value_hint = ValueHint::FilePath, add = ArgValueCompleter::new(complete::guest_paths))]
    target: String,

    /// How long to wait for the guest agent to answer
    #[arg(long, value_name = "DURATION", default_value = "10s")]
    wait: Span,
}

/// What `--json` prints.
#[derive(Serialize)]
struct Report {
    source: String,
    target: String,
    bytes: u64,
    seconds: f64,
    sha256: String,
    /// Whether the checksum was verified; false if the guest has no `sha256sum`.
    checked: bool,
}

pub(crate) async fn run(args: Args, context: &Context) -> Result<Exit, Failure> {
    let usage = |text: &str| {
        Failure::new(Exit::Usage, text)
            .with_help("for example `qemuctl cp app.tar web:/tmp/` or `qemuctl cp web:/etc/hostname .`")
    };
    let (vm, path, other, inwards) = match (End::parse(&args.source), End::parse(&args.target)) {
        (End::Guest { .. }, End::Guest { .. }) => {
            return Err(usage("cannot copy from guest to guest directly; copy to this host first"));
        }
        (End::Guest { vm, path }, other) => (vm, path, other, false),
        (other, End::Guest { vm, path }) => (vm, path, other, true),
        _ => return Err(usage("SOURCE or TARGET must be in a guest, written VM:PATH")),
    };
    if path.is_empty() {
        return Err(usage("the path in the guest is missing after the colon"));
    }
    if !inwards && other == End::Stream && context.json {
        return Err(usage("--json and the file cannot both go to standard output"));
    }
    // Report local errors before the guest is asked anything.
    let source = if inwards { Some(Source::open(&other)?) } else { None };
    let mut signals = Signals::listen()?;
    let vm = Vm::named(vm).attach(context).await?;
    let begin = Instant::now();
    let copying = async {
        let agent = agent::reach(&vm, args.wait.0, context).await?;
        match source {
            Some(source) => copy_in(&vm, &agent, source, path, context).await,
            None => copy_out(&vm, &agent, &path, &other, context).await,
        }
    };
    let done = tokio::select! {
        done = copying => done.map_err(|failure| match vm.exit_reason() {
            Some(reason) => Failure::new(failure.exit, format!("{} ended during the copy: {reason}", vm.name())),
            None => failure,
        })?,
        asked = signals.next() => return Err(asked.failure("the copy")),
    };
    let seconds = begin.elapsed().as_secs_f64();
    let Done { source, target, copied } = done;
    let checked = copied.guest == GuestChecksum::Same;
    if context.json {
        let (bytes, sha256) = (copied.bytes, copied.sha256);
        context.print_json(&Report { source, target, bytes, seconds, sha256, checked })?;
    } else if target != "-" {
        let checksum = if checked { ", checksum compared" } else { "" };
        context.note(format_args!("{target}: {} in {seconds:.1} s{checksum}", size(copied.bytes)));
    }
    Ok(Exit::Done)
}

/// The result of a copy.
struct Done {
    source: String,
    target: String,
    copied: CopyReport,
}

/// What the guest reports about a path.
struct GuestFacts {
    size: u64,
    mode: u32,
    is_folder: bool,
    is_file: bool,
}

/// Looks a path up in the guest. Returns nothing if the guest has no `stat`.
async fn look(agent: &Agent, path: &str) -> Option<GuestFacts> {
    let line = ask(agent, "stat", &["-L", "-c", "%s %f", "--", path]).await?;
    let (size, mode) = line.trim().split_once(' ')?;
    let mode = u32::from_str_radix(mode, 16).ok()?;
    let of = mode & kind::MASK;
    Some(GuestFacts {
        size: size.parse().ok()?,
        mode: mode & 0o7777,
        is_folder: of == kind::FOLDER,
        is_file: of == kind::FILE,
    })
}

/// File types as Linux encodes them in a mode; the guest uses them whatever this host is.
mod kind {
    pub(super) const MASK: u32 = 0o170_000;
    pub(super) const FOLDER: u32 = 0o040_000;
    pub(super) const FILE: u32 = 0o100_000;
}

async fn copy_in(
    vm: &Instance,
    agent: &Agent,
    mut source: Source,
    path: String,
    context: &Context,
) -> Result<Done, Failure> {
    let folder = path.ends_with('/') || look(agent, &path).await.is_some_and(|facts| facts.is_folder);
    let path = match (folder, &source.path) {
        (false, _) => path,
        (true, Some(here)) => {
            let name = here.file_name().unwrap_or_default().to_string_lossy();
            format!("{}/{name}", path.trim_end_matches('/'))
        }
        (true, None) => {
            return Err(Failure::new(Exit::Usage, format!("{path} is a directory; name a file in it")));
        }
    };
    let target = format!("{}:{path}", vm.name());
    let total = source.facts.as_ref().filter(|facts| facts.is_file()).map(Metadata::len);
    let progress = Progress::bytes(context, &target, total);
    let mut begun = false;
    let copied = vm.copy_in(&mut source.input, &path, |bytes| {
        begun = true;
        progress.reach(bytes);
    });
    let copied = copied.await.map_err(|error| {
        let failure = match error {
            Error::Qmp(ClientError::Stream { source: error }) => {
                Failure::new(Exit::Failed, format!("cannot read {}: {error}", source.name))
            }
            error => trouble("write", vm, &target, error),
        };
        if begun {
            let message = format!("{}\n  {target} is incomplete", failure.message);
            return Failure { message, ..failure };
        }
        failure
    })?;
    progress.finish();
    if let Some(facts) = source.facts.filter(Metadata::is_file) {
        let mode = format!("{:o}", facts.permissions().mode() & 0o777);
        if ask(agent, "chmod", &[&mode, "--", &path]).await.is_none() {
            context.detail(format_args!("cannot set the permissions of {target}"));
        }
    }
    Ok(Done { source: source.name, target, copied })
}

async fn copy_out(
    vm: &Instance,
    agent: &Agent,
    path: &str,
    end: &End,
    context: &Context,
) -> Result<Done, Failure> {
    let name = vm.name();
    let source = format!("{name}:{path}");
    let facts = look(agent, path).await;
    if facts.as_ref().is_some_and(|facts| facts.is_folder) {
        let text = format!("cannot read {source}: it is a directory");
        return Err(Failure::new(Exit::Failed, text)
            .with_help(format!("pack it: `qemuctl exec {name} tar -C {path} -c . > packed.tar`")));
    }
    let facts = facts.filter(|facts| facts.is_file);
    let mut sink = Sink::new(end, path)?;
    let target = sink.name();
    // Files in /proc and the like report no size.
    let total = facts.as_ref().map(|facts| facts.size).filter(|&size| size > 0);
    let progress = Progress::bytes(context, &source, total);
    let copied = vm.copy_out(path, &mut sink.output, |bytes| progress.reach(bytes)).await;
    let copied = copied.map_err(|error| match error {
        Error::Qmp(ClientError::Stream { source }) if sink.draft.is_none() => source.into(),
        Error::Qmp(ClientError::Stream { source }) => cannot_write(&sink.target, &source),
        error => trouble("read", vm, &source, error),
    })?;
    progress.finish();
    sink.finish(facts.map(|facts| facts.mode)).await?;
    Ok(Done { source, target, copied })
}

/// Turns an error about a file in the guest into a message.
fn trouble(action: &str, vm: &Instance, path: &str, error: Error) -> Failure {
    match error {
        Error::Damaged { .. } => {
            let text = format!(
                "checksum mismatch for {path}: the file changed during the copy, or was damaged on the way"
            );
            Failure::new(Exit::Failed, text).with_help("copy it again")
        }
        Error::Qmp(ClientError::Refused { desc, .. }) => {
            // For example: failed to open file '/x' (mode: 'r'): No such file or directory
            let reason = desc.rsplit(": ").next().unwrap_or(&desc);
            let failure = Failure::new(Exit::Failed, format!("cannot {action} {path}: {reason}"));
            if reason.contains("No space left") {
                failure.with_help(format!("`qemuctl exec {} df -h` shows what is full", vm.name()))
            } else {
                failure
            }
        }
        error => error.into(),
    }
}
