//! New images.

use std::ffi::OsString;
use std::path::{Component, Path, PathBuf};

use qemu_argv::{BlockFormat, Size};

use super::draft::Draft;
use super::run::Run;
use super::{Image, ImageError, QemuImg};

/// How to allocate a new image's space in advance (`preallocation` of qemu-img).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum Preallocation {
    /// No preallocation: it grows as the guest writes.
    #[default]
    Off,
    /// Only metadata (qcow2).
    Metadata,
    /// All space, reserved by the file system (`fallocate`).
    Falloc,
    /// All space, by writing zeroes.
    Full,
}

impl Preallocation {
    pub(super) fn qemu_name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Metadata => "metadata",
            Self::Falloc => "falloc",
            Self::Full => "full",
        }
    }
}

/// Options of a new image. Create them with [`sized`](Self::sized) or [`overlay`](Self::overlay).
#[derive(Clone, Debug)]
pub struct CreateOptions {
    /// The size. `None` is allowed only with `backing`, and means the same size.
    pub size: Option<Size>,
    /// The backing image. Its path is recorded in the new image: an absolute path as it is, a relative one relative to
    /// the new image's directory.
    pub backing: Option<Image>,
    /// How to allocate space in advance. Defaults to no preallocation.
    pub preallocation: Preallocation,
    /// Whether to replace an existing image. Defaults to false.
    pub replace: bool,
}

impl CreateOptions {
    /// An empty image of this size.
    pub fn sized(size: Size) -> Self {
        Self { size: Some(size), backing: None, preallocation: Preallocation::Off, replace: false }
    }

    /// An overlay on `base`, with the same size.
    pub fn overlay(base: Image) -> Self {
        Self { size: None, backing: Some(base), preallocation: Preallocation::Off, replace: false }
    }
}

impl QemuImg {
    /// Creates an image, readable and writable only by its owner. With a key it is encrypted by LUKS.
    ///
    /// # Errors
    ///
    /// [`ImageError::Exists`] unless it may be replaced; [`ImageError::NoSpace`]; [`ImageError::Failed`] with
    /// qemu-img's message, for example if the format does not support an option.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing is left behind.
    pub async fn create(&self, image: &Image, options: &CreateOptions) -> Result<(), ImageError> {
        let draft = Draft::new(&image.path, options.replace)?;
        let mut run = Run::new(self, "create", &image.path).args(["-q", "-f", image.format.qemu_name()]);
        run = with_settings(run, image, options.preallocation)?;
        if let Some(backing) = &options.backing {
            let path = from_new_image(&backing.path, &image.path);
            run = run.arg("-b").arg(path).args(["-F", backing.format.qemu_name()]);
        }
        run = run.arg(draft.path());
        if let Some(size) = options.size {
            run = run.arg(size.to_bytes().to_string());
        }
        run.done("create").await?;
        draft.finish().await
    }
}

/// Adds the settings of a new image (`-o`): what is allocated at once, and its key, if it has one.
pub(super) fn with_settings<'a>(
    mut run: Run<'a>,
    image: &Image,
    preallocation: Preallocation,
) -> Result<Run<'a>, ImageError> {
    let mut settings = Vec::new();
    if preallocation != Preallocation::Off {
        settings.push(format!("preallocation={}", preallocation.qemu_name()));
    }
    if let Some(key) = run.key(image)? {
        match image.format {
            BlockFormat::Luks => settings.push(format!("key-secret={key}")),
            _ => settings.push(format!("encrypt.format=luks,encrypt.key-secret={key}")),
        }
    }
    Ok(if settings.is_empty() { run } else { run.arg("-o").arg(settings.join(",")) })
}

/// The backing file's path as it is written into the new image, where a relative one counts from that image's directory.
fn from_new_image(backing: &Path, image: &Path) -> OsString {
    if backing.is_absolute() {
        return backing.into();
    }
    let from = super::run::absolute(image);
    let (from, to) = (from.parent().unwrap_or(Path::new("/")), super::run::absolute(backing));
    let plain =
        |path: &Path| path.components().all(|part| matches!(part, Component::RootDir | Component::Normal(_)));
    let common = from.components().zip(to.components()).take_while(|(one, other)| one == other).count();
    // `..` behind a symbolic link leads elsewhere: then only the absolute path is sure to be right.
    if !plain(from) || !plain(&to) || common != from.components().count() {
        return to.into();
    }
    // The `./` keeps qemu-img from taking `name:rest` for a protocol.
    let below: PathBuf = to.components().skip(common).collect();
    Path::new(".").join(below).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_relative_backing_file_counts_from_the_new_image() {
        let here = std::env::current_dir().expect("a directory");
        let path = |backing: &str, image: &Path| {
            from_new_image(Path::new(backing), image).into_string().expect("UTF-8")
        };
        assert_eq!(path("/vm/base.qcow2", Path::new("web.qcow2")), "/vm/base.qcow2");
        assert_eq!(path("nbd:base.qcow2", Path::new("web.qcow2")), "./nbd:base.qcow2");
        assert_eq!(path("bases/base.qcow2", &here.join("web.qcow2")), "./bases/base.qcow2");
        let elsewhere = here.join("base.qcow2").into_os_string().into_string().expect("UTF-8");
        assert_eq!(path("base.qcow2", Path::new("/elsewhere/web.qcow2")), elsewhere);
    }
}
