//! CD-ROM drives.

use std::convert::Infallible;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::block::DiskBackend;
use super::flexible;
use super::image::BlockFormat;
use crate::value::Props;

/// A CD-ROM drive, with or without a medium. In config files, may be given as just the path of an image.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields, default)]
pub struct Cdrom {
    /// The drive's id in plans, errors and QMP. Defaults to `cdrom0`, `cdrom1`, ….
    pub id: Option<String>,
    /// The medium. In config files, may be given as just a path. Defaults to none.
    #[serde(deserialize_with = "flexible::optional")]
    pub medium: Option<DiskBackend>,
    /// The format of the medium. Defaults to `raw`.
    pub format: Option<BlockFormat>,
    /// The bus of the drive.
    pub interface: CdromInterface,
    /// The position in the boot order; 0 is first.
    pub boot_index: Option<u32>,
    /// The id of the controller (SCSI, SATA): one of `devices`, or `ide` for the board's own SATA ports. Defaults to any with room.
    pub controller: Option<String>,
    /// The place on the controller: the SCSI target, the SATA port, or the IDE drive from 0 to 3. Defaults to the next free one.
    pub unit: Option<u16>,
    /// The logical unit behind the SCSI target. Defaults to 0.
    pub lun: Option<u16>,
    /// Additional properties of the device, passed on unchanged.
    pub properties: Props,
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

/// The bus of a CD-ROM drive.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum CdromInterface {
    /// The board's own SATA or IDE controller, or else `virtio-scsi`.
    #[default]
    Auto,
    /// An AHCI controller.
    Sata,
    /// The board's IDE controller.
    Ide,
    /// A `virtio-scsi` controller.
    VirtioScsi,
    /// A SCSI controller of `devices` of another kind, or the board's own.
    Scsi,
}
