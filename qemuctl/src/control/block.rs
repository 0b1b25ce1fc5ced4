//! Block devices and removable media of a running VM.

#![allow(
    deprecated,
    reason = "QEMU deprecates one member of these commands, `device`, which is not used here"
)]

use std::path::Path;

use qmp_proto::{BlockInfo, BlockdevChangeMedium, BlockdevChangeReadOnlyMode, Eject, QueryBlock};

use crate::error::Error;
use crate::instance::Instance;

/// # Disks and media
impl Instance {
    /// Returns the VM's block devices and their media.
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    #[doc(alias = "query-block")]
    pub async fn block_devices(&self) -> Result<Vec<BlockInfo>, Error> {
        self.execute(QueryBlock::default()).await
    }

    /// Ejects the medium of the drive `drive`.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no such drive. If the guest has locked the tray, QEMU refuses and asks it to
    /// unlock: try again later.
    pub async fn eject(&self, drive: &str) -> Result<(), Error> {
        let id = Some(self.device_of(drive).await?);
        self.execute(Eject { id, ..Eject::default() }).await.map(drop)
    }

    /// Inserts the image `image` into the drive `drive`, read-only.
    ///
    /// `format` is the image's format, such as `raw` for an ISO image; it is never guessed.
    ///
    /// # Errors
    ///
    /// As [`eject`](Self::eject), and if QEMU cannot open the image.
    pub async fn change_medium(&self, drive: &str, image: &Path, format: &str) -> Result<(), Error> {
        let path = image.to_str().ok_or_else(|| Error::Unsupported {
            action: "changing a medium of",
            name: image.display().to_string(),
            reason: "QMP supports only UTF-8".to_owned(),
        })?;
        let mut command = BlockdevChangeMedium::new(path.to_owned());
        command.id = Some(self.device_of(drive).await?);
        command.format = Some(format.to_owned());
        command.read_only_mode = Some(BlockdevChangeReadOnlyMode::ReadOnly);
        self.execute(command).await.map(drop)
    }

    /// Returns the path by which QEMU's block commands identify a device. For a virtio disk that is the path of its
    /// inner device, not its id, for which QEMU answers "Device does not have a block device backend".
    pub(super) async fn device_of(&self, name: &str) -> Result<String, Error> {
        let found = self.block_device(name).await?.qdev;
        found.ok_or_else(|| self.missing(&format!("disk {name}")))
    }

    /// Returns the disk or drive with this id, node name or backend name.
    pub(super) async fn block_device(&self, name: &str) -> Result<BlockInfo, Error> {
        let is_it = |info: &BlockInfo| {
            let node = info.inserted.as_ref().and_then(|inserted| inserted.node_name.as_deref());
            let id = info.qdev.as_deref().map(device_id);
            info.device == name || node == Some(name) || id == Some(name)
        };
        let found = self.block_devices().await?.into_iter().find(is_it);
        found.ok_or_else(|| self.missing(&format!("disk {name}")))
    }
}

/// Returns the id of the device in a path such as `/machine/peripheral/disk0/virtio-backend`, or the id itself.
pub(super) fn device_id(qdev: &str) -> &str {
    let inner = qdev.strip_prefix("/machine/peripheral/").unwrap_or(qdev);
    inner.split_once('/').map_or(inner, |(id, _)| id)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_id_is_found_in_every_form() {
        for qdev in ["disk0", "/machine/peripheral/disk0/virtio-backend", "/machine/peripheral/disk0"] {
            assert_eq!(device_id(qdev), "disk0");
        }
        assert_eq!(device_id("/machine/unattached/device[7]"), "");
    }
}
