//! CD-ROM drives.

use std::convert::Infallible;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::block::DiskBackend;
use super::flexible;
use super::image::BlockFormat;

/// A CD-ROM drive, with or without a medium. In files also just the path of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields, default)]
pub struct Cdrom {
    /// The name of the drive in plans, errors and QMP. Left out: `cdrom0`, `cdrom1`, ….
    pub id: Option<String>,
    /// What is in it. In files also just a path. Left out: nothing.
    #[serde(deserialize_with = "flexible::optional")]
    pub medium: Option<DiskBackend>,
    /// What the medium's bytes mean. Left out: `raw`.
    pub format: Option<BlockFormat>,
    /// What the drive is connected to.
    pub interface: CdromInterface,
    /// The place in the boot order, 0 first.
    pub boot_index: Option<u32>,
}

impl FromStr for Cdrom {
    type Err = Infallible;

    fn from_str(path: &str) -> Result<Self, Infallible> {
        Ok(Self { medium: Some(DiskBackend::file(path)), ..Self::default() })
    }
}

impl flexible::Short for Cdrom {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::text()
    }
}

/// What a CD-ROM drive is connected to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CdromInterface {
    /// The board's own SATA or IDE controller, else `virtio-scsi`.
    #[default]
    Auto,
    /// An AHCI controller.
    Sata,
    /// The board's IDE controller.
    Ide,
    /// A `virtio-scsi` controller.
    VirtioScsi,
}
