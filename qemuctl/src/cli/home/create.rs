//! `create`: creates a machine.

use std::path::{Path, PathBuf};

use clap::ValueHint;
use qemu_argv::{BlockFormat, Disk, DiskBackend, Size, VmConfig};
use qemuctl::Error;
use qemuctl::config::{Keep, to_toml};
use qemuctl::home::{Draft, Home};
use qemuctl::image::{ConvertOptions, CreateOptions, Image, QemuImg};

use super::super::boot::{self, BootFrom};
use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::image::{Kind, kind_of};
use super::super::images::pull;
use super::super::machine::MachineOptions;
use super::super::progress::Progress;

/// Create a machine
///
/// A machine has a folder with its config, `machine.toml`, and its disks, in ~/.local/share/qemuctl/machines
/// (/var/lib/qemuctl/machines for root, or `$QEMUCTL_HOME/machines`). A disk image is copied there, so that the original
/// is never written to; with --linked, only the differences are stored. `--disk 20GiB` creates an empty disk. Images
/// that a config file names stay where they are.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The machine's name
    #[arg(value_name = "NAME")]
    new: String,

    /// Disk image, ISO image, kernel or config file (TOML or JSON) to create it from
    #[arg(value_hint = ValueHint::FilePath, required_unless_present_any = ["image", "kernel", "disk", "cdrom"])]
    file: Option<PathBuf>,

    /// Disk image to create it from: a file, or the name or address of an image to download (`qemuctl image pull --list`),
    /// which is then shared by all machines created from it
    #[arg(long, value_name = "IMAGE", value_hint = ValueHint::FilePath, conflicts_with = "file")]
    image: Option<PathBuf>,

    /// Store only the differences from the disk image, which must then not be moved or changed
    #[arg(long)]
    linked: bool,

    /// Enlarge the disk to this size, such as 20GiB
    #[arg(long, value_name = "SIZE")]
    size: Option<Size>,

    #[command(flatten)]
    options: MachineOptions,
}

pub(crate) async fn run(mut args: Args, context: &Context) -> Result<Exit, Failure> {
    if args.options.has_name() {
        return Err(Failure::new(
            Exit::Usage,
            "--name has no effect here: the machine's name is the first argument",
        ));
    }
    let sizes = args.options.take_sizes();
    if let Some(name) = args.image.as_deref().and_then(Path::to_str).map(str::to_owned)
        && (name.contains("://") || (!name.contains('/') && !Path::new(&name).exists()))
    {
        args.image = Some(pull::ensure(&name, args.options.arch(), context).await?);
        args.linked = true;
    }
    let file = args.image.as_deref().or(args.file.as_deref());
    let kind = file.map(kind_of).transpose()?;
    if args.image.is_some() && kind != Some(Kind::Disk) {
        let text = "--image takes a disk image; give other files without it";
        return Err(Failure::new(Exit::Usage, text));
    }
    let base = file.filter(|_| kind == Some(Kind::Disk));
    for (option, given) in [("--linked", args.linked), ("--size", args.size.is_some())] {
        if given && base.is_none() {
            return Err(Failure::new(Exit::Usage, format!("{option} requires a disk image")));
        }
    }
    let loaded = args.options.load(file)?;
    loaded.check_files()?;
    let (mut config, keep) = (loaded.config.clone(), loaded.keep());
    config.name = None;
    let home = Home::open()?;
    let draft = home.draft(&args.new).map_err(refused)?;
    if let Some(base) = base {
        let format = config.disks.first().and_then(|disk| disk.format).or_else(|| BlockFormat::of_name(base));
        let base = Image::new(std::path::absolute(base)?, format.unwrap_or(BlockFormat::Raw));
        let own = from_image(&draft, &base, &args, context).await?;
        if let Some(disk) = config.disks.first_mut() {
            disk.backend = own;
            disk.format = None;
        }
    }
    for (number, size) in sizes.iter().enumerate() {
        let index = usize::from(base.is_some()) + number;
        let own = empty(&draft, index, *size).await?;
        config.disks.insert(index, Disk { backend: own, ..Disk::file("") });
    }
    if !sizes.is_empty() && base.is_none() && !config.cdroms.is_empty() && !args.options.has_boot() {
        // Boot from the disk first: while it is empty the firmware falls through to the installer, and afterwards it
        // boots the installed system.
        boot::order(&mut config, None, Some(BootFrom::Disk))?;
    }
    let machine = draft.finish(&text(&config, &keep)?).map_err(refused)?;
    context.note(format_args!("created {} in {}", machine.name(), machine.folder().display()));
    if context.json {
        context.print_json(&serde_json::json!({ "name": machine.name(), "folder": machine.folder() }))?;
    }
    Ok(Exit::Done)
}

/// Creates its disk with an image's content.
async fn from_image(
    draft: &Draft,
    base: &Image,
    args: &Args,
    context: &Context,
) -> Result<DiskBackend, Failure> {
    let tool = QemuImg::find()?;
    let (own, backend) = own_disk(draft, 0);
    if args.linked {
        tool.create(&own, &CreateOptions::overlay(base.clone())).await?;
    } else {
        let progress = Progress::percent(context, format!("copying {}", base.path.display()));
        let tool = tool.clone().on_progress(move |percent| progress.reach(percent.into()));
        tool.convert(base, &own, &ConvertOptions::default()).await?;
    }
    if let Some(size) = args.size {
        tool.resize(&own, size, false).await?;
    }
    Ok(backend)
}

async fn empty(draft: &Draft, index: usize, size: Size) -> Result<DiskBackend, Failure> {
    let (own, backend) = own_disk(draft, index);
    QemuImg::find()?.create(&own, &CreateOptions::sized(size)).await?;
    Ok(backend)
}

/// A disk in the draft, and its path in the config.
fn own_disk(draft: &Draft, index: usize) -> (Image, DiskBackend) {
    let name = format!("disk{index}.qcow2");
    let path = draft.disks().join(&name);
    (Image::new(path, BlockFormat::Qcow2), DiskBackend::file(Path::new("disks").join(name)))
}

/// The text of the config.
fn text(config: &VmConfig, keep: &Keep) -> Result<String, Failure> {
    let mut text = to_toml(config);
    if *keep != Keep::default() {
        let keep = toml::to_string(keep).map_err(|error| Failure::of(Exit::Failed, &error))?;
        text = format!("{text}\n[keep]\n{keep}");
    }
    Ok(text)
}

/// The failure for a name that is taken.
pub(super) fn refused(error: Error) -> Failure {
    let help = match &error {
        Error::MachineExists { name, .. } => {
            Some(format!("`qemuctl info {name}` shows it; `qemuctl rm {name}` removes it"))
        }
        _ => None,
    };
    let failure = Failure::from(error);
    Failure { help: help.or(failure.help.clone()), ..failure }
}
