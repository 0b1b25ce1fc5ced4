//! Disks while the VM runs: what there is, limits of their throughput, and removable media.

#![allow(
    deprecated,
    reason = "QEMU deprecates one member of these commands, `device`, which is not used here"
)]

use std::path::Path;

use qmp_proto::{
    BlockIOThrottle, BlockInfo, BlockSetIoThrottle, BlockdevChangeMedium, BlockdevChangeReadOnlyMode, Eject,
    QueryBlock,
};

use crate::error::Error;
use crate::instance::Instance;

/// Limits of a disk's throughput. 0 is no limit; a total excludes its two parts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct IoLimits {
    /// Bytes a second, reading and writing together.
    pub bytes_total: u64,
    /// Bytes a second, reading.
    pub bytes_read: u64,
    /// Bytes a second, writing.
    pub bytes_write: u64,
    /// Requests a second, reading and writing together.
    pub requests_total: u64,
    /// Requests a second, reading.
    pub requests_read: u64,
    /// Requests a second, writing.
    pub requests_write: u64,
    /// How far the limits may be exceeded for a moment. Left out: not at all.
    pub burst: Option<IoBurst>,
}

/// How far limits may be exceeded for a moment. 0 is not at all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct IoBurst {
    /// Bytes a second, reading and writing together.
    pub bytes_total: u64,
    /// Requests a second, reading and writing together.
    pub requests_total: u64,
    /// How long a burst may last, in seconds; at least 1.
    pub seconds: u64,
}

impl Instance {
    /// The VM's block devices, with what is in them.
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    #[doc(alias = "query-block")]
    pub async fn block_devices(&self) -> Result<Vec<BlockInfo>, Error> {
        self.execute(QueryBlock::default()).await
    }

    /// Limits the throughput of the disk `disk` (the name that the plan gives it) to exactly this. The default value removes all
    /// limits.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no such disk, else as [`Instance::execute`].
    #[doc(alias = "block_set_io_throttle")]
    pub async fn set_io_limits(&self, disk: &str, limits: IoLimits) -> Result<(), Error> {
        let number = |value: u64| {
            i64::try_from(value).map_err(|_| Error::Unsupported {
                action: "the I/O limit",
                name: disk.to_owned(),
                reason: format!("{value} is more than QEMU takes"),
            })
        };
        let optional = |value: u64| if value == 0 { Ok(None) } else { number(value).map(Some) };
        let mut throttle = BlockIOThrottle::new(
            number(limits.bytes_total)?,
            number(limits.bytes_read)?,
            number(limits.bytes_write)?,
            number(limits.requests_total)?,
            number(limits.requests_read)?,
            number(limits.requests_write)?,
        );
        if let Some(burst) = limits.burst {
            throttle.bps_max = optional(burst.bytes_total)?;
            throttle.iops_max = optional(burst.requests_total)?;
            throttle.bps_max_length = throttle.bps_max.and(optional(burst.seconds)?);
            throttle.iops_max_length = throttle.iops_max.and(optional(burst.seconds)?);
        }
        throttle.id = Some(self.device_of(disk).await?);
        self.execute(BlockSetIoThrottle(throttle)).await.map(drop)
    }

    /// Opens the tray of the drive `drive` and takes out what is in it.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no such drive. QEMU refuses if the guest has locked the tray, and asks it to
    /// unlock: try again then.
    pub async fn eject(&self, drive: &str) -> Result<(), Error> {
        let id = Some(self.device_of(drive).await?);
        self.execute(Eject { id, ..Eject::default() }).await.map(drop)
    }

    /// Puts the image `image` into the drive `drive`, for the guest to read only.
    ///
    /// `format` is the image's format, such as `raw` for an ISO image; QEMU is never left to guess it.
    ///
    /// # Errors
    ///
    /// As [`eject`](Self::eject), and if QEMU cannot open the image.
    pub async fn change_medium(&self, drive: &str, image: &Path, format: &str) -> Result<(), Error> {
        let path = image.to_str().ok_or_else(|| Error::Unsupported {
            action: "the path of a medium",
            name: image.display().to_string(),
            reason: "QMP only takes UTF-8".to_owned(),
        })?;
        let mut command = BlockdevChangeMedium::new(path.to_owned());
        command.id = Some(self.device_of(drive).await?);
        command.format = Some(format.to_owned());
        command.read_only_mode = Some(BlockdevChangeReadOnlyMode::ReadOnly);
        self.execute(command).await.map(drop)
    }

    /// The path by which QEMU's block commands know a device. For a virtio disk that is not its id but the path of its
    /// inner half: "Device does not have a block device backend" is the answer to the id.
    async fn device_of(&self, name: &str) -> Result<String, Error> {
        let devices = self.block_devices().await?;
        let is_it = |info: &&BlockInfo| {
            let node = info.inserted.as_ref().and_then(|inserted| inserted.node_name.as_deref());
            let id = info.qdev.as_deref().map(device_id);
            info.device == name || node == Some(name) || id == Some(name)
        };
        let found = devices.iter().find(is_it).and_then(|info| info.qdev.clone());
        found.ok_or_else(|| self.missing(&format!("disk {name}")))
    }
}

/// The id of the device in a path such as `/machine/peripheral/disk0/virtio-backend`, or the id itself.
fn device_id(qdev: &str) -> &str {
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
