//! `image pull`: downloads an image to the home, where machines are created from it.
//!
//! An image is stored under a name with its checksum and never replaced, since overlays depend on its content. A newer
//! one is stored beside it.

mod catalogue;
mod checksum;
mod download;

use std::os::unix::fs::{DirBuilderExt, PermissionsExt};
use std::path::{Path, PathBuf};

use qemu_argv::{Arch, BlockFormat};
use qemuctl::home::Home;
use serde::{Deserialize, Serialize};

use super::super::context::Context;
use super::super::exit::Exit;
use super::super::failure::Failure;
use super::super::progress::Progress;
use catalogue::Source;
use checksum::Checksum;

/// Download an image
///
/// NAME is an image that this program knows (`--list`), or its address. An interrupted download goes on where it broke
/// off. The checksum is compared with the publisher's list. `create NAME --image` uses the image, and downloads it if
/// necessary. Further images can be named in `images.toml` in the home, each as `[NAME]` with `url`, `checksums` and
/// `arch`.
#[derive(clap::Args, Debug)]
pub(crate) struct Pull {
    /// Name of an image, or its address
    #[arg(required_unless_present = "list")]
    name: Option<String>,

    /// List the images that have a name
    #[arg(long, conflicts_with = "name")]
    list: bool,

    /// Guest architecture [default: the host's]
    #[arg(long)]
    arch: Option<Arch>,

    /// SHA-256 or SHA-512 that the image must have
    #[arg(long, value_name = "DIGITS")]
    checksum: Option<Checksum>,

    /// Address of the publisher's list of checksums
    #[arg(long, value_name = "URL", conflicts_with = "checksum")]
    checksums: Option<String>,

    /// Format, such as raw or qcow2 [default: by file name extension]
    #[arg(long, value_parser = super::super::image::format)]
    format: Option<BlockFormat>,
}

/// What is stored about the newest download of an image.
#[derive(Serialize, Deserialize)]
struct Note {
    url: String,
    /// The file, in the same folder.
    file: String,
    sha256: String,
    sha512: String,
}

pub(super) async fn run(args: Pull, context: &Context) -> Result<Exit, Failure> {
    let folder = folder()?;
    let Some(name) = &args.name else {
        let images = catalogue::list(&catalogue_folder(&folder))?;
        if context.json {
            context.print_json(
                &images
                    .iter()
                    .map(|(name, url)| serde_json::json!({ "name": name, "url": url }))
                    .collect::<Vec<_>>(),
            )?;
        } else {
            let mut table = super::super::table::Table::new(["NAME", "ADDRESS"]);
            for (name, url) in images {
                table.row([name, url]);
            }
            context.print(table)?;
        }
        return Ok(Exit::Done);
    };
    let arch = args.arch.or_else(Arch::host).unwrap_or(Arch::X86_64);
    let mut source = catalogue::find(name, arch, args.format, &catalogue_folder(&folder))?;
    if args.checksums.is_some() {
        source.checksums.clone_from(&args.checksums);
    }
    let path = pull(source, args.checksum, false, folder, context).await?;
    if context.json {
        context.print_json(&serde_json::json!({ "path": path }))?;
    } else {
        context.print(path.display())?;
    }
    Ok(Exit::Done)
}

/// Returns the image of that name for `create`, and downloads it if it is not there.
pub(in crate::cli) async fn ensure(name: &str, arch: Arch, context: &Context) -> Result<PathBuf, Failure> {
    let folder = folder()?;
    let source = catalogue::find(name, arch, None, &catalogue_folder(&folder))?;
    pull(source, None, true, folder, context).await
}

/// Downloads an image, unless the newest one is there. With `any`, one that is there is enough.
async fn pull(
    source: Source,
    checksum: Option<Checksum>,
    any: bool,
    folder: PathBuf,
    context: &Context,
) -> Result<PathBuf, Failure> {
    let progress = Progress::bytes(context, format!("downloading {}", source.name), Some(0));
    // A signal ends the program, and what was downloaded is kept.
    let done = tokio::task::spawn_blocking(move || fetch(&source, checksum, any, &folder, &progress)).await;
    let (path, note) = done.map_err(|error| Failure::of(Exit::Failed, &error))??;
    if let Some(note) = note {
        context.note(note);
    }
    Ok(path)
}

fn fetch(
    source: &Source,
    checksum: Option<Checksum>,
    any: bool,
    folder: &Path,
    progress: &Progress,
) -> Result<(PathBuf, Option<String>), Failure> {
    let note_path = folder.join(format!("{}.json", source.name));
    let known = std::fs::read(&note_path).ok().and_then(|text| serde_json::from_slice::<Note>(&text).ok());
    let known = known.filter(|note| note.url == source.url).map(|note| (folder.join(&note.file), note));
    let known = known.filter(|(path, _)| path.exists());
    if any && let Some((path, _)) = &known {
        return Ok((path.clone(), None));
    }
    let agent = download::agent();
    let expected = match (checksum, &source.checksums) {
        (Some(checksum), _) => Some(checksum),
        (None, Some(list)) => {
            let text = download::text(&agent, list)?;
            let file = source.url.rsplit('/').next().unwrap_or_default();
            let found = Checksum::in_list(&text, file);
            Some(found.ok_or_else(|| {
                Failure::new(Exit::Failed, format!("{list} has no SHA-256 or SHA-512 of {file}"))
            })?)
        }
        (None, None) => None,
    };
    if let (Some(expected), Some((path, note))) = (&expected, &known)
        && [&note.sha256, &note.sha512].iter().any(|sum| *sum == expected.digits())
    {
        return Ok((path.clone(), Some(format!("{} is up to date", source.name))));
    }
    let partial = folder.join(format!("{}.part", source.name));
    // Two downloads of the same file would write over each other.
    let _lock = lock(&folder.join(format!("{}.lock", source.name)), &source.name)?;
    let sums = download::file(&agent, &source.url, &partial, progress)?;
    if expected.as_ref().is_some_and(|expected| !expected.fits(&sums)) {
        let _ = std::fs::remove_file(&partial);
        let text = format!("{} is not what its publisher lists: the checksum differs", source.url);
        return Err(
            Failure::new(Exit::Failed, text).with_help("it was removed; try again, or another mirror")
        );
    }
    let file = format!("{}-{}.{}", source.name, &sums.sha256[..12], source.format.qemu_name());
    let path = folder.join(&file);
    let place = || {
        // Overlays depend on it, so it must not be written to.
        std::fs::set_permissions(&partial, PermissionsExt::from_mode(0o400))?;
        std::fs::rename(&partial, &path)?;
        let note = Note { url: source.url.clone(), file, sha256: sums.sha256, sha512: sums.sha512 };
        let draft = note_path.with_extension("json.new");
        std::fs::write(&draft, serde_json::to_vec_pretty(&note)?)?;
        std::fs::rename(&draft, &note_path)
    };
    place().map_err(|error: std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot write {}: {error}", path.display()))
    })?;
    let note = match expected {
        Some(_) => format!("downloaded {}", source.name),
        None => format!("downloaded {}; its checksum was not checked", source.name),
    };
    Ok((path, Some(note)))
}

/// Locks a file until the result is dropped.
fn lock(path: &Path, name: &str) -> Result<std::fs::File, Failure> {
    let failed = |error: std::io::Error| {
        Failure::new(Exit::Failed, format!("cannot lock {}: {error}", path.display()))
    };
    let file =
        std::fs::OpenOptions::new().create(true).truncate(false).write(true).open(path).map_err(failed)?;
    match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(file),
        Err(rustix::io::Errno::WOULDBLOCK) => {
            Err(Failure::new(Exit::Failed, format!("another command is downloading {name}")))
        }
        Err(error) => Err(failed(error.into())),
    }
}

/// The folder of the downloaded images.
fn folder() -> Result<PathBuf, Failure> {
    let folder = Home::open()?.path().join("images");
    std::fs::DirBuilder::new().recursive(true).mode(0o700).create(&folder).map_err(|error| {
        Failure::new(Exit::Failed, format!("cannot create {}: {error}", folder.display()))
    })?;
    Ok(folder)
}

/// The folder of the user's own catalogue.
fn catalogue_folder(folder: &Path) -> PathBuf {
    folder.parent().unwrap_or(folder).to_owned()
}
