//! `image` subcommands that only read.

use std::path::PathBuf;

use clap::ValueHint;
use clap_complete::ArgValueCandidates;
use qemu_argv::BlockFormat;
use qemuctl::image::{Comparison, QemuImg, Repair};
use serde::Serialize;

use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::table::{self, Table};
use super::shown::{shown, size};
use super::source::{Source, image, word};

/// Show an image and its backing files
#[derive(clap::Args, Debug)]
pub(super) struct Info {
    #[command(flatten)]
    image: Source,
}

/// Check an image's metadata, and optionally repair it
///
/// Exits with 1 if there are errors that were not repaired.
#[derive(clap::Args, Debug)]
pub(super) struct Check {
    #[command(flatten)]
    image: Source,

    /// Repair leaked clusters (leaks), or all errors (all)
    #[arg(short, long, value_name = "WHAT", value_parser = repair, add = ArgValueCandidates::new(|| super::super::complete::words(["leaks", "all"])))]
    repair: Option<Repair>,
}

/// Show which parts of an image are allocated
#[derive(clap::Args, Debug)]
pub(super) struct Map {
    #[command(flatten)]
    image: Source,
}

/// Compute the size of a converted image
#[derive(clap::Args, Debug)]
pub(super) struct Measure {
    #[command(flatten)]
    image: Source,

    /// Target format: raw, qcow2 or luks
    #[arg(short = 'O', long, value_name = "FORMAT", default_value = "qcow2", value_parser = word::<BlockFormat>, add = ArgValueCandidates::new(|| super::super::complete::values("disks.format")))]
    target_format: BlockFormat,
}

/// Compare the contents of two images
///
/// Exits with 1 if they differ.
#[derive(clap::Args, Debug)]
pub(super) struct Compare {
    #[command(flatten)]
    image: Source,

    /// Other image
    #[arg(value_hint = ValueHint::FilePath)]
    other: PathBuf,

    /// Format of the other image [default: by file name extension]
    #[arg(long, value_name = "FORMAT", value_parser = word::<BlockFormat>, add = ArgValueCandidates::new(|| super::super::complete::values("disks.format")))]
    other_format: Option<BlockFormat>,
}

fn repair(text: &str) -> Result<Repair, String> {
    match text {
        "leaks" => Ok(Repair::Leaks),
        "all" => Ok(Repair::All),
        _ => Err("possible values: leaks, all".to_owned()),
    }
}

/// One image of a backing chain. `image info --json` prints an array of them, the image itself first.
#[derive(Serialize)]
struct Link {
    file: String,
    format: String,
    /// The size the guest sees, in bytes.
    size_bytes: i64,
    /// The space used on the host, in bytes.
    used_bytes: Option<i64>,
    cluster_bytes: Option<i64>,
    encrypted: bool,
    /// Whether the image was not closed cleanly, or is in use.
    dirty: bool,
    snapshots: Vec<String>,
    /// The backing file, as written in the image.
    backing: Option<String>,
    backing_format: Option<String>,
}

pub(super) async fn info(args: Info, tool: &QemuImg, context: &Context) -> Result<Exit, Failure> {
    let chain: Vec<_> = tool
        .info(&args.image.image()?)
        .await?
        .into_iter()
        .map(|info| Link {
            file: info.filename,
            format: info.format,
            size_bytes: info.virtual_size,
            used_bytes: info.actual_size,
            cluster_bytes: info.cluster_size,
            encrypted: info.encrypted.unwrap_or(false),
            dirty: info.dirty_flag.unwrap_or(false),
            snapshots: info.snapshots.into_iter().flatten().map(|snapshot| snapshot.name).collect(),
            backing: info.backing_filename,
            backing_format: info.backing_filename_format,
        })
        .collect();
    if context.json {
        context.print_json(&chain)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["SIZE", "USED", "FORMAT", "STATE", "FILE"]);
    for image in chain {
        let snapshots = match image.snapshots.len() {
            0 => None,
            1 => Some("1 snapshot".to_owned()),
            count => Some(format!("{count} snapshots")),
        };
        let state = [
            image.encrypted.then(|| "encrypted".to_owned()),
            image.dirty.then(|| "dirty".to_owned()),
            snapshots,
        ];
        table.row([
            size(image.size_bytes),
            image.used_bytes.map(size).unwrap_or_default(),
            image.format,
            state.into_iter().flatten().collect::<Vec<_>>().join(", "),
            image.file,
        ]);
    }
    context.print(table)?;
    Ok(Exit::Done)
}

pub(super) async fn check(args: Check, tool: &QemuImg, context: &Context) -> Result<Exit, Failure> {
    let report = tool.check(&args.image.image()?, args.repair).await?;
    let path = args.image.image.display();
    let (damaged, lost) = (report.corruptions, report.leaks);
    let repaired = report.corruptions_fixed + report.leaks_fixed;
    let text = if !report.is_clean() {
        format!(
            "{path}: {damaged} corrupt clusters, {lost} leaked clusters, {} failed reads",
            report.check_errors
        )
    } else if repaired > 0 {
        format!("{path}: repaired {repaired} clusters")
    } else {
        format!("{path}: no errors")
    };
    context.show(&report, text)?;
    Ok(if report.is_clean() { Exit::Done } else { Exit::Failed })
}

pub(super) async fn map(args: Map, tool: &QemuImg, context: &Context) -> Result<Exit, Failure> {
    let extents = tool.map(&args.image.image()?).await?;
    if context.json {
        context.print_json(&extents)?;
        return Ok(Exit::Done);
    }
    let mut table = Table::new(["START", "LENGTH", "CONTENT", "DEPTH", "FILE"]);
    for extent in extents {
        let holds = match (extent.data, extent.zero, extent.present) {
            (true, false, _) => "data",
            (_, true, true) => "zeroes",
            _ => "nothing",
        };
        table.row([
            extent.start.to_string(),
            table::size(extent.length),
            holds.to_owned(),
            extent.depth.to_string(),
            extent.filename.map(|file| file.display().to_string()).unwrap_or_default(),
        ]);
    }
    context.print(table)?;
    Ok(Exit::Done)
}

pub(super) async fn measure(args: Measure, tool: &QemuImg, context: &Context) -> Result<Exit, Failure> {
    let measured = tool.measure(&args.image.image()?, args.target_format).await?;
    let (now, full) = (table::size(measured.required), table::size(measured.fully_allocated));
    context.show(&measured, format_args!("{now} now, {full} when fully allocated"))?;
    Ok(Exit::Done)
}

pub(super) async fn compare(args: Compare, tool: &QemuImg, context: &Context) -> Result<Exit, Failure> {
    let (one, other) = (args.image.image()?, image(&args.other, args.other_format, None)?);
    let tool = shown(tool, context, format!("comparing {}", args.image.image.display()));
    let found = tool.compare(&one, &other).await?;
    drop(tool);
    let is_same = found == Comparison::Identical;
    let word = if is_same { "identical" } else { "different" };
    context.show(&serde_json::json!({ "identical": is_same }), word)?;
    Ok(if is_same { Exit::Done } else { Exit::Failed })
}
