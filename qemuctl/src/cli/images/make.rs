//! `image` subcommands that create or change images.

use std::path::PathBuf;

use clap::ValueHint;
use clap_complete::ArgValueCandidates;
use qemu_argv::{BlockFormat, Size};
use qemuctl::image::{ConvertOptions, CreateOptions, Preallocation, QemuImg};

use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::shown::shown;
use super::source::{Source, image, word};

/// Create an image
///
/// The image is empty, or an overlay that stores the differences from another image (--backing). Only its owner can
/// read it.
#[derive(clap::Args, Debug)]
pub(super) struct Create {
    #[command(flatten)]
    image: Source,

    /// Size, such as 20G [default: the size of the backing image]
    #[arg(required_unless_present = "backing")]
    size: Option<Size>,

    /// Backing image, which is never written to
    #[arg(short, long, value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    backing: Option<PathBuf>,

    /// Format of the backing image [default: by file name extension]
    #[arg(long, value_name = "FORMAT", requires = "backing", value_parser = word::<BlockFormat>, add = ArgValueCandidates::new(|| super::super::complete::values("disks.format")))]
    backing_format: Option<BlockFormat>,

    /// How to allocate space in advance
    #[arg(long, value_name = "HOW", default_value = "off", value_parser = preallocation, add = ArgValueCandidates::new(|| super::super::complete::words(["off", "metadata", "falloc", "full"])))]
    preallocation: Preallocation,

    /// Replace an existing image
    #[arg(long)]
    force: bool,
}

/// Change an image's size
///
/// The guest's partitions and file systems are not changed. For a disk of a running VM, use `qemuctl block resize`.
#[derive(clap::Args, Debug)]
pub(super) struct Resize {
    #[command(flatten)]
    image: Source,

    /// New size, such as 40G
    size: Size,

    /// Allow shrinking, which destroys the data beyond the new size
    #[arg(long)]
    shrink: bool,
}

/// Copy an image, converting its format
///
/// The copy has no backing file. Zeroes become holes. Internal snapshots are not copied.
#[derive(clap::Args, Debug)]
pub(super) struct Convert {
    #[command(flatten)]
    image: Source,

    /// New image
    #[arg(value_hint = ValueHint::FilePath)]
    target: PathBuf,

    /// Format of the new image [default: by file name extension]
    #[arg(short = 'O', long, value_name = "FORMAT", value_parser = word::<BlockFormat>, add = ArgValueCandidates::new(|| super::super::complete::values("disks.format")))]
    target_format: Option<BlockFormat>,

    /// Encrypt the new image with the passphrase from this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    target_key_file: Option<PathBuf>,

    /// Compress the new image (qcow2, vmdk)
    #[arg(long)]
    compress: bool,

    /// How to allocate space in advance
    #[arg(long, value_name = "HOW", default_value = "off", value_parser = preallocation, add = ArgValueCandidates::new(|| super::super::complete::words(["off", "metadata", "falloc", "full"])))]
    preallocation: Preallocation,

    /// Replace an existing image
    #[arg(long)]
    force: bool,
}

/// Copy an image without converting it
///
/// On file systems with reflinks, the copy is instant and shares its space with the original.
#[derive(clap::Args, Debug)]
pub(super) struct Copy {
    #[command(flatten)]
    image: Source,

    /// New image
    #[arg(value_hint = ValueHint::FilePath)]
    target: PathBuf,

    /// Replace an existing image
    #[arg(long)]
    force: bool,
}

/// Write an overlay's content into its backing file
#[derive(clap::Args, Debug)]
pub(super) struct Commit {
    #[command(flatten)]
    image: Source,
}

/// Change or remove the backing file of an image
///
/// The guest sees the same content as before: differing data is copied into the image.
#[derive(clap::Args, Debug)]
pub(super) struct Rebase {
    #[command(flatten)]
    image: Source,

    /// New backing file
    #[arg(short, long, value_name = "IMAGE", value_hint = ValueHint::FilePath, required_unless_present = "flatten")]
    backing: Option<PathBuf>,

    /// Format of the backing image [default: by file name extension]
    #[arg(long, value_name = "FORMAT", requires = "backing", value_parser = word::<BlockFormat>, add = ArgValueCandidates::new(|| super::super::complete::values("disks.format")))]
    backing_format: Option<BlockFormat>,

    /// Remove the backing file, and copy its data into the image
    #[arg(long, conflicts_with = "backing")]
    flatten: bool,

    /// The backing file was only moved or renamed: change its name without comparing contents
    #[arg(long, requires = "backing")]
    renamed: bool,
}

fn preallocation(text: &str) -> Result<Preallocation, String> {
    Ok(match text {
        "off" => Preallocation::Off,
        "metadata" => Preallocation::Metadata,
        "falloc" => Preallocation::Falloc,
        "full" => Preallocation::Full,
        _ => return Err("possible values: off, metadata, falloc, full".to_owned()),
    })
}

pub(super) async fn create(args: Create, tool: &QemuImg, context: &Context) -> Result<Exit, Failure> {
    let backing = args.backing.as_ref().map(|path| image(path, args.backing_format, None)).transpose()?;
    let options =
        CreateOptions { size: args.size, backing, preallocation: args.preallocation, replace: args.force };
    tool.create(&args.image.image()?, &options).await?;
    context.note(format_args!("created {}", args.image.image.display()));
    Ok(Exit::Done)
}

pub(super) async fn resize(args: Resize, tool: &QemuImg, context: &Context) -> Result<Exit, Failure> {
    tool.resize(&args.image.image()?, args.size, args.shrink).await?;
    context.note(format_args!("resized {} to {}", args.image.image.display(), args.size));
    Ok(Exit::Done)
}

pub(super) async fn convert(args: Convert, tool: &QemuImg, context: &Context) -> Result<Exit, Failure> {
    let (source, path) = (args.image.image()?, args.image.image.display());
    let target = image(&args.target, args.target_format, args.target_key_file.as_ref())?;
    let options =
        ConvertOptions { compress: args.compress, preallocation: args.preallocation, replace: args.force };
    let tool = shown(tool, context, format!("converting {path}"));
    tool.convert(&source, &target, &options).await?;
    drop(tool);
    context.note(format_args!("converted {path} to {}", args.target.display()));
    Ok(Exit::Done)
}

pub(super) async fn copy(args: Copy, tool: &QemuImg, context: &Context) -> Result<Exit, Failure> {
    let (source, path) = (args.image.image()?, args.image.image.display());
    let target = qemuctl::image::Image { path: args.target.clone(), ..source.clone() };
    let tool = shown(tool, context, format!("copying {path}"));
    tool.copy(&source, &target, args.force).await?;
    drop(tool);
    context.note(format_args!("copied {path} to {}", args.target.display()));
    Ok(Exit::Done)
}

pub(super) async fn commit(args: Commit, tool: &QemuImg, context: &Context) -> Result<Exit, Failure> {
    let path = args.image.image.display();
    let tool = shown(tool, context, format!("committing {path}"));
    tool.commit(&args.image.image()?).await?;
    drop(tool);
    context.note(format_args!("committed {path} to its backing file"));
    Ok(Exit::Done)
}

pub(super) async fn rebase(args: Rebase, tool: &QemuImg, context: &Context) -> Result<Exit, Failure> {
    let (target, path) = (args.image.image()?, args.image.image.display());
    let backing = args.backing.as_ref().map(|path| image(path, args.backing_format, None)).transpose()?;
    match &backing {
        Some(backing) if args.renamed => tool.rename_backing(&target, backing).await?,
        backing => {
            let tool = shown(tool, context, format!("rebasing {path}"));
            tool.rebase(&target, backing.as_ref()).await?;
        }
    }
    match backing {
        Some(backing) => context.note(format_args!("rebased {path} onto {}", backing.path.display())),
        None => context.note(format_args!("flattened {path}")),
    }
    Ok(Exit::Done)
}
