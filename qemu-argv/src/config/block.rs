//! Block backends: the storage of disks, CD-ROMs and backing images.

use std::convert::Infallible;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::disk_backends::{
    FileDisk, HostDeviceDisk, HttpDisk, IscsiDisk, NbdDisk, NullDisk, NvmeDisk, RbdDisk, SshDisk,
};
use super::flexible;

/// The storage of a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum DiskBackend {
    /// An image file.
    File(FileDisk),
    /// A block device of the host.
    HostDevice(HostDeviceDisk),
    /// A Network Block Device export.
    Nbd(NbdDisk),
    /// A Ceph RADOS block device.
    Rbd(RbdDisk),
    /// A LUN of an iSCSI target.
    Iscsi(IscsiDisk),
    /// A file on an SSH server.
    Ssh(SshDisk),
    /// A file on a web server, read-only.
    Http(HttpDisk),
    /// An `NVMe` device of the host, used directly by QEMU through VFIO.
    Nvme(NvmeDisk),
    /// No storage: reads return zeroes, writes are discarded.
    Null(NullDisk),
}

impl DiskBackend {
    /// An image file.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::File(FileDisk { path: path.into() })
    }
}

impl FromStr for DiskBackend {
    type Err = Infallible;

    fn from_str(path: &str) -> Result<Self, Infallible> {
        Ok(Self::file(path))
    }
}

impl flexible::Short for DiskBackend {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::text()
    }
}
