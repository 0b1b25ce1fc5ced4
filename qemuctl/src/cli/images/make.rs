//! Images that are made or changed.

use std::path::PathBuf;

use clap::ValueHint;
use qemu_argv::{BlockFormat, Size};
use qemuctl::image::{ConvertOptions, CreateOptions, Preallocation, QemuImg};

use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::shown::shown;
use super::source::{Source, image, word};

/// Create an image
///
/// It is empty, or an overlay that holds what differs from another image. Only its owner may read it.
#[derive(clap::Args, Debug)]
pub(super) struct Create {
    #[command(flatten)]
    image: Source,

    /// The size that a guest sees, such as 20G [default: that of --backing]
    #[arg(required_unless_present = "backing")]
    size: Option<Size>,

    /// The image under it, which is only read
    #[arg(short, long, value_name = "IMAGE", value_hint = ValueHint::FilePath)]
    backing: Option<PathBuf>,

    /// The format of --backing [default: by the ending of its name]
    #[arg(long, value_name = "FORMAT", requires = "backing", value_parser = word::<BlockFormat>)]
    backing_format: Option<BlockFormat>,

    /// How much of its space to take from the file system at once
    #[arg(long, value_name = "HOW", default_value = "off", value_parser = preallocation)]
    preallocation: Preallocation,

    /// Replace an image that is there
    #[arg(long)]
    force: bool,
}

/// Change an image's size
///
/// The guest's partitions and file systems stay as they are. For a disk of a running VM: `qemuctl block resize`.
#[derive(clap::Args, Debug)]
pub(super) struct Resize {
    #[command(flatten)]
    image: Source,

    /// The new size, such as 40G
    size: Size,

    /// Allow a smaller size, which destroys what is behind it
    #[arg(long)]
    shrink: bool,
}

/// Copy an image into another format
///
/// The copy rests on no other image. Zeroes become holes. Internal snapshots are not copied.
#[derive(clap::Args, Debug)]
pub(super) struct Convert {
    #[command(flatten)]
    image: Source,

    /// The new image
    #[arg(value_hint = ValueHint::FilePath)]
    target: PathBuf,

    /// The new image's format [default: by the ending of its name]
    #[arg(short = 'O', long, value_name = "FORMAT", value_parser = word::<BlockFormat>)]
    target_format: Option<BlockFormat>,

    /// Encrypt the new image with the passphrase in this file
    #[arg(long, value_name = "FILE", value_hint = ValueHint::FilePath)]
    target_key_file: Option<PathBuf>,

    /// Compress the new image (qcow2, vmdk)
    #[arg(long)]
    compress: bool,

    /// How much of its space to take from the file system at once
    #[arg(long, value_name = "HOW", default_value = "off", value_parser = preallocation)]
    preallocation: Preallocation,

    /// Replace an image that is there
    #[arg(long)]
    force: bool,
}

/// Copy an image as it is
///
/// Where the file system can, both share their space until one is written to, and it takes no time.
#[derive(clap::Args, Debug)]
pub(super) struct Copy {
    #[command(flatten)]
    image: Source,

    /// The new image
    #[arg(value_hint = ValueHint::FilePath)]
    target: PathBuf,

    /// Replace an image that is there
    #[arg(long)]
    force: bool,
}

/// Write what an overlay holds into the image under it
#[derive(clap::Args, Debug)]
pub(super) struct Commit {
    #[command(flatten)]
    image: Source,
}

/// Put an image on another base, or on none
///
/// The guest sees the same content as before: what differs is copied into the image.
#[derive(clap::Args, Debug)]
pub(super) struct Rebase {
    #[command(flatten)]
    image: Source,

    /// The new base
    #[arg(short, long, value_name = "IMAGE", value_hint = ValueHint::FilePath, required_unless_present = "flatten")]
    backing: Option<PathBuf>,

    /// The format of --backing [default: by the ending of its name]
    #[arg(long, value_name = "FORMAT", requires = "backing", value_parser = word::<BlockFormat>)]
    backing_format: Option<BlockFormat>,

    /// Put it on no base: it then holds everything itself
    #[arg(long, conflicts_with = "backing")]
    flatten: bool,

    /// The base was only moved or renamed: write its new name, and compare nothing
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
    context.note(format_args!("committed {path} to its base"));
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
        Some(backing) => context.note(format_args!("rebased {path} on {}", backing.path.display())),
        None => context.note(format_args!("{path} has no base any more")),
    }
    Ok(Exit::Done)
}
