//! The disk error that paused a guest.

use std::fmt;

use qmp_proto::{BlockDeviceIoStatus, BlockInfo};

use super::block::device_id;
use crate::error::Error;
use crate::instance::Instance;
use crate::state::{State, word};

/// A disk whose error has paused the guest, which is then in the state [`IoError`](crate::State::IoError).
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiskError {
    /// The disk's id.
    pub disk: String,
    /// Whether the image's file system is full; otherwise it is another I/O error.
    pub no_space: bool,
}

impl fmt::Display for DiskError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = if self.no_space { "no space left for its image" } else { "I/O error" };
        write!(f, "{}: {what}", self.disk)
    }
}

impl DiskError {
    fn of(info: &BlockInfo) -> Option<Self> {
        let status = info.io_status.as_ref().filter(|status| **status != BlockDeviceIoStatus::Ok)?;
        let node = || info.inserted.as_ref().and_then(|inserted| inserted.node_name.clone());
        let id = info.qdev.as_deref().map(device_id).filter(|id| !id.is_empty());
        let disk = id.map(str::to_owned).or_else(node).unwrap_or_else(|| info.device.clone());
        Some(Self { disk, no_space: word(status) == "nospace" })
    }
}

/// # Disk errors
impl Instance {
    /// Returns the disks whose errors have paused the guest; none after it was resumed.
    ///
    /// For a handle that received the events, the result is exact. A handle that was attached later gets all disks that
    /// have ever failed, since QEMU keeps that until the VM ends.
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    pub async fn disk_errors(&self) -> Result<Vec<DiskError>, Error> {
        if self.query_state().await? != State::IoError {
            return Ok(Vec::new());
        }
        let devices = self.block_devices().await?;
        let heard = self.vm().failed_nodes().clone();
        let is_meant = |info: &&BlockInfo| {
            let node = info.inserted.as_ref().and_then(|inserted| inserted.node_name.as_ref());
            heard.is_empty() || node.is_some_and(|node| heard.contains(node))
        };
        Ok(devices.iter().filter(is_meant).filter_map(DiskError::of).collect())
    }
}
