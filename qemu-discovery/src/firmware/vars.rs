//! A machine's own copy of the firmware's variables.

use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::Duration;

use tokio::process::Command;
use tokio::time::timeout;

use super::ImageFile;
use crate::DiscoveryError;
use crate::words::clean_words;

/// How long a conversion may take; it handles 64 MiB at most.
const DEADLINE: Duration = Duration::from_secs(60);

/// The image format of a machine's variables.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub enum VarsFormat {
    /// As the template has it.
    #[default]
    Template,
    /// Raw.
    Raw,
    /// qcow2, which snapshots with the machine's state need: with a raw image of its variables, a machine has none.
    Qcow2,
}

impl VarsFormat {
    fn name(self, template: &ImageFile) -> &str {
        match self {
            Self::Template => &template.format,
            Self::Raw => "raw",
            Self::Qcow2 => "qcow2",
        }
    }
}

/// Creates the machine's own copy of `template` at `path`, readable and writable only by its owner. An existing file is
/// kept, since it contains the guest's data.
///
/// The copy appears only when it is complete, even if two callers create it at once. `qemu_img` is needed only if the
/// format differs from the template's.
///
/// # Errors
///
/// - [`DiscoveryError::Io`] if the template cannot be read or the copy cannot be written.
/// - [`DiscoveryError::Firmware`] if `qemu-img` is needed and missing, or fails.
///
/// # Cancel safety
///
/// If the future is dropped, nothing is left behind.
pub async fn create_vars(
    template: &ImageFile,
    path: &Path,
    format: VarsFormat,
    qemu_img: Option<&Path>,
) -> Result<ImageFile, DiscoveryError> {
    let wanted = format.name(template);
    let made = ImageFile { path: path.to_owned(), format: wanted.to_owned() };
    let io = |action, path: &Path| {
        let path = path.to_owned();
        move |source| DiscoveryError::Io { action, path, source }
    };
    match path.symlink_metadata() {
        Ok(metadata) if metadata.is_file() => return Ok(made),
        Ok(_) => {
            let reason = "the path of the machine's variables is not a regular file".into();
            return Err(DiscoveryError::Firmware { path: path.to_owned(), reason });
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => {}
        Err(error) => return Err(io("look at", path)(error)),
    }
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let temporary = tempfile::Builder::new()
        .prefix(".vars-")
        .tempfile_in(folder)
        .map_err(io("create a file in", folder))?;
    if wanted == template.format {
        let source = template.path.clone();
        let mut copy = temporary.reopen().map_err(io("write", path))?;
        let copied = tokio::task::spawn_blocking(move || io::copy(&mut File::open(source)?, &mut copy));
        copied
            .await
            .map_err(io::Error::other)
            .and_then(|copied| copied)
            .map_err(io("copy", &template.path))?;
    } else {
        convert(template, temporary.path(), wanted, qemu_img).await?;
    }
    finish(temporary, path).map_err(io("write", path))?;
    Ok(made)
}

/// Puts the finished file in its place, unless another caller was faster.
fn finish(temporary: tempfile::NamedTempFile, path: &Path) -> io::Result<()> {
    fs::set_permissions(temporary.path(), fs::Permissions::from_mode(0o600))?;
    File::open(temporary.path())?.sync_all()?;
    match temporary.persist_noclobber(path) {
        Ok(_) => Ok(()),
        Err(error) if error.error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(error.error),
    }
}

async fn convert(
    template: &ImageFile,
    path: &Path,
    wanted: &str,
    qemu_img: Option<&Path>,
) -> Result<(), DiscoveryError> {
    let failed = |reason: String| DiscoveryError::Firmware { path: template.path.clone(), reason };
    let Some(program) = qemu_img else {
        return Err(failed(format!(
            "qemu-img is required to make a {wanted} copy of it; install qemu-utils or qemu-img"
        )));
    };
    let run = Command::new(program)
        .args(["convert", "-f", &template.format, "-O", wanted, "--"])
        .args([absolute(&template.path), absolute(path)])
        .stdin(Stdio::null())
        .env("LC_ALL", "C")
        .kill_on_drop(true)
        .output();
    let output = timeout(DEADLINE, run)
        .await
        .map_err(|_| failed(format!("{} timed out after {DEADLINE:?}", program.display())))?
        .map_err(|source| DiscoveryError::Io { action: "start", path: program.to_owned(), source })?;
    if output.status.success() {
        return Ok(());
    }
    let words = clean_words(&String::from_utf8_lossy(&output.stderr));
    Err(failed(format!("{} cannot copy it as {wanted}: {words}", program.display())))
}

/// `qemu-img` takes `name:rest` for a protocol, unless it begins with a slash.
fn absolute(path: &Path) -> PathBuf {
    std::path::absolute(path).unwrap_or_else(|_| path.to_owned())
}
