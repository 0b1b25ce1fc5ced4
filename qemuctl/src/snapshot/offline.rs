//! Snapshots of a machine that is off.

use qemu_argv::{BlockFormat, Disk, DiskBackend, Firmware, VmConfig};
use qmp_proto::SnapshotInfo;

use crate::image::{Image, ImageError, QemuImg};

use super::{Snapshot, fault_of, merge};

/// The writable images of a machine that is off. Nobody may start the machine meanwhile; QEMU's locks on the images
/// prevent damage, but an operation on several images may then stop halfway.
#[derive(Clone, Debug)]
pub struct DiskSet {
    images: Vec<(String, Image)>,
}

impl DiskSet {
    /// Collects the writable images of a config.
    ///
    /// # Errors
    ///
    /// [`ImageError::Failed`] if one has a format without snapshots, is encrypted, or is not an image on this host.
    pub fn of(config: &VmConfig) -> Result<Self, ImageError> {
        let mut images = Vec::new();
        for (number, disk) in config.disks.iter().enumerate() {
            if disk.read_only || disk.snapshot {
                continue;
            }
            let id = disk.id.clone().unwrap_or_else(|| format!("disk{number}"));
            images.push((id, image_of(disk, number)?));
        }
        if let Some(Firmware::Uefi(uefi)) = &config.firmware
            && let Some(vars) = uefi.vars.as_ref().filter(|_| uefi.vars_format == Some(BlockFormat::Qcow2))
        {
            images.push(("pflash1".to_owned(), Image::new(vars, BlockFormat::Qcow2)));
        }
        Ok(Self { images })
    }

    /// Adds the UEFI variables that a launch has created in the machine's folder.
    #[must_use]
    pub fn with_vars(mut self, path: impl Into<std::path::PathBuf>) -> Self {
        self.images.push(("pflash1".to_owned(), Image::new(path, BlockFormat::Qcow2)));
        self
    }

    /// Returns the snapshots, the oldest first.
    ///
    /// # Errors
    ///
    /// [`ImageError`] if an image cannot be read.
    pub async fn snapshots(&self, tool: &QemuImg) -> Result<Vec<Snapshot>, ImageError> {
        let mut infos: Vec<(&str, Vec<SnapshotInfo>)> = Vec::new();
        for (id, image) in &self.images {
            let info = tool.info(image).await?.into_iter().next();
            infos.push((id, info.and_then(|info| info.snapshots).unwrap_or_default()));
        }
        Ok(merge(&infos.iter().map(|(id, infos)| (*id, &infos[..])).collect::<Vec<_>>()))
    }

    /// Takes a snapshot of all images.
    ///
    /// # Errors
    ///
    /// [`ImageError`] if the name is taken or invalid, or an image is in use or cannot be changed. No image has the
    /// snapshot then.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some images may have the snapshot; delete it then.
    pub async fn create(&self, tool: &QemuImg, tag: &str) -> Result<Snapshot, ImageError> {
        const ACTION: &str = "take a snapshot of";
        let first = self.images.first().map(|(_, image)| image.path.clone()).unwrap_or_default();
        let fail = |reason: String| ImageError::Failed { action: ACTION, path: first.clone(), reason };
        if let Some(fault) = fault_of(tag) {
            return Err(fail(fault.to_owned()));
        }
        if self.images.is_empty() {
            return Err(fail("the machine has no writable disk".to_owned()));
        }
        if self.find(tool, tag).await?.is_some() {
            return Err(fail(format!("there is a snapshot called {tag:?} already")));
        }
        for (number, (_, image)) in self.images.iter().enumerate() {
            if let Err(error) = tool.snapshot(image, ACTION, "-c", tag).await {
                for (_, image) in &self.images[..number] {
                    // The first error is the one to report.
                    let _ = tool.snapshot(image, "undo a snapshot of", "-d", tag).await;
                }
                return Err(error);
            }
        }
        self.find(tool, tag).await?.ok_or_else(|| fail("qemu-img made no snapshot".to_owned()))
    }

    /// Reverts all images to a snapshot. Everything since then is lost. The memory is not part of it: the guest boots
    /// from what its disks were.
    ///
    /// Returns `None` if there is no such snapshot.
    ///
    /// # Errors
    ///
    /// [`ImageError`] if not every image has it or an image is in use; nothing has changed then. If an image cannot be
    /// written, it can be repeated.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some images may have been reverted; repeat it then.
    pub async fn revert(&self, tool: &QemuImg, tag: &str) -> Result<Option<Snapshot>, ImageError> {
        const ACTION: &str = "revert";
        let Some(snapshot) = self.find(tool, tag).await? else { return Ok(None) };
        for (id, image) in &self.images {
            if snapshot.missing.contains(id) {
                let reason = format!("it has no snapshot called {tag:?}");
                return Err(ImageError::Failed { action: ACTION, path: image.path.clone(), reason });
            }
            // Takes the same locks, so that an image in use is found before any is changed.
            tool.check(image, None).await?;
        }
        for (_, image) in &self.images {
            tool.snapshot(image, ACTION, "-a", tag).await?;
        }
        Ok(Some(snapshot))
    }

    /// Deletes a snapshot from all images that have it. Returns `None` if there is no such snapshot.
    ///
    /// # Errors
    ///
    /// [`ImageError`] if an image is in use or cannot be written. It can be repeated.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, some images may still have it; repeat it then.
    pub async fn delete(&self, tool: &QemuImg, tag: &str) -> Result<Option<Snapshot>, ImageError> {
        let Some(snapshot) = self.find(tool, tag).await? else { return Ok(None) };
        for (_, image) in self.images.iter().filter(|(id, _)| snapshot.disks.contains(id)) {
            tool.snapshot(image, "delete a snapshot of", "-d", tag).await?;
        }
        Ok(Some(snapshot))
    }

    async fn find(&self, tool: &QemuImg, tag: &str) -> Result<Option<Snapshot>, ImageError> {
        Ok(self.snapshots(tool).await?.into_iter().find(|snapshot| snapshot.tag == tag))
    }
}

fn image_of(disk: &Disk, number: usize) -> Result<Image, ImageError> {
    const ACTION: &str = "use snapshots of";
    let path = match &disk.backend {
        DiskBackend::File(file) => file.path.clone(),
        DiskBackend::HostDevice(device) => device.path.clone(),
        _ => {
            let (path, reason) =
                (format!("disk{number}").into(), "it is not an image on this host".to_owned());
            return Err(ImageError::Failed { action: ACTION, path, reason });
        }
    };
    let format = disk.format.or_else(|| BlockFormat::of_name(&path)).unwrap_or(BlockFormat::Raw);
    let reason = if format != BlockFormat::Qcow2 {
        let format = format.qemu_name();
        format!("the format {format} has no snapshots; convert it to qcow2 or make it read-only")
    } else if disk.key_secret.is_some() {
        "it is encrypted; its snapshots can be changed while the machine runs".to_owned()
    } else {
        return Ok(Image::new(path, format));
    };
    Err(ImageError::Failed { action: ACTION, path, reason })
}
