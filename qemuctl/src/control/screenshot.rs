//! Screenshots.
//!
//! QEMU writes the image to an unnamed file that is passed as a file descriptor, so that no path is shared and nobody
//! else can read it.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Seek, SeekFrom};
use std::os::fd::AsRawFd;
use std::path::Path;

use nix::sys::memfd::{MFdFlags, memfd_create};
use qmp_client::ClientError;
use qmp_proto::{ImageFormat, Screendump};
use tokio::io::AsyncWriteExt;

use crate::error::Error;
use crate::instance::Instance;

/// # Screenshots
impl Instance {
    /// Takes a screenshot of the first screen, as PNG.
    ///
    /// If QEMU was built without PNG, it writes PPM, which is converted with the feature `png`.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no screen; otherwise as [`Instance::execute`].
    pub async fn screenshot(&self) -> Result<Vec<u8>, Error> {
        match self.screendump(ImageFormat::Png).await {
            Err(Error::Qmp(ClientError::Refused { desc, .. })) if desc.contains("console to take") => {
                Err(self.missing("screen"))
            }
            #[cfg(feature = "png")]
            Err(Error::Qmp(ClientError::Refused { .. })) => {
                let picture = self.screendump(ImageFormat::Ppm).await?;
                super::ppm::to_png(&picture).map_err(|reason| Error::Unsupported {
                    action: "taking a screenshot of",
                    name: self.name().to_owned(),
                    reason,
                })
            }
            other => other,
        }
    }

    /// Saves a screenshot of the first screen to the file `path`, as PNG. A new file is readable only by its owner,
    /// since a screen may show private data. An existing one keeps its permissions.
    ///
    /// # Errors
    ///
    /// As [`screenshot`](Self::screenshot), and [`Error::Io`] if the file cannot be written.
    pub async fn screenshot_to(&self, path: impl AsRef<Path>) -> Result<(), Error> {
        let picture = self.screenshot().await?;
        let path = path.as_ref();
        let write = async {
            let mut options = tokio::fs::OpenOptions::new();
            let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(path).await?;
            file.write_all(&picture).await?;
            file.flush().await
        };
        write.await.map_err(|source| Error::Io { action: "write the screenshot", path: path.into(), source })
    }

    async fn screendump(&self, format: ImageFormat) -> Result<Vec<u8>, Error> {
        let fail = |source| Error::Io { action: "make", path: "a file in memory".into(), source };
        let (mut file, writable) = unnamed_file().map_err(fail)?;
        let fdset = self.qmp().add_fd(&writable, None).await;
        let fdset = fdset.map_err(|error| self.explain("add-fd", error))?;
        let mut command = Screendump::new(fdset.path());
        command.format = Some(format);
        self.execute(command).await?;
        let mut picture = Vec::new();
        file.seek(SeekFrom::Start(0)).and_then(|_| file.read_to_end(&mut picture)).map_err(fail)?;
        Ok(picture)
    }
}

/// Creates a file in memory. Returns a file for reading and one opened only for writing, since QEMU accepts only the
/// latter.
fn unnamed_file() -> io::Result<(File, File)> {
    let memory = File::from(memfd_create(c"screenshot", MFdFlags::MFD_CLOEXEC)?);
    let path = format!("/proc/self/fd/{}", memory.as_raw_fd());
    let writable = OpenOptions::new().write(true).open(path)?;
    Ok((memory, writable))
}
