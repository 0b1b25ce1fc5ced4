//! Disks: storage, format and device.

use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::block::DiskBackend;
use super::flexible;
use super::image::{BlockFormat, Cache, DetectZeroes, DiskAio, OnError};
use super::size::Size;
use super::throttle::Throttle;
use crate::topology::Address;
use crate::value::Props;

/// A disk. In config files, may be given as just the path of an image: `disks = ["/vm/web.qcow2"]`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields)]
#[expect(clippy::struct_excessive_bools, reason = "each is an option of QEMU of its own")]
pub struct Disk {
    /// The disk's id in plans, errors and QMP, and the name of its block node. Defaults to `disk0`, `disk1`, ….
    #[serde(default)]
    pub id: Option<String>,
    /// The storage. In config files, may be given as just a path.
    #[serde(deserialize_with = "flexible::one")]
    pub backend: DiskBackend,
    /// The image format. Defaults to the one of the file name extension, and to `raw` for anything that is not a file.
    /// It is never guessed from the content, since a guest could write another format's header.
    #[serde(default)]
    pub format: Option<BlockFormat>,
    /// The backing image of a qcow2 or VMDK overlay.
    #[serde(default)]
    pub backing: Backing,
    /// The id of the secret that unlocks a `luks` image or an encrypted `qcow2` one.
    #[serde(default)]
    pub key_secret: Option<String>,
    /// The device that the guest sees.
    #[serde(default)]
    pub interface: DiskInterface,
    /// Whether the disk is read-only. Not supported for IDE and SATA disks.
    #[serde(default)]
    pub read_only: bool,
    /// Whether writes are discarded when the VM ends: the image is opened read-only, and writes go to an unnamed
    /// temporary file that the launcher creates in `$TMPDIR`, or else in `/var/tmp`.
    #[serde(default)]
    pub snapshot: bool,
    /// How the host's page cache is used. Defaults to `writeback`.
    #[serde(default)]
    pub cache: Option<Cache>,
    /// How QEMU accesses a file. Defaults to `threads`.
    #[serde(default)]
    pub aio: Option<DiskAio>,
    /// Whether the guest's discards free space in the image. Defaults to false.
    #[serde(default)]
    pub discard: bool,
    /// How writes of zeroes are handled. Defaults to plain writes.
    #[serde(default)]
    pub detect_zeroes: DetectZeroes,
    /// I/O limits.
    #[serde(default)]
    pub throttle: Option<Throttle>,
    /// The serial number that the guest sees.
    #[serde(default)]
    pub serial: Option<String>,
    /// The World Wide Name that the guest sees (SCSI, SATA and IDE).
    #[serde(default)]
    pub wwn: Option<u64>,
    /// The position in the boot order; 0 is first.
    #[serde(default)]
    pub boot_index: Option<u32>,
    /// The id of the iothread that serves the disk (virtio-blk). Defaults to QEMU's main loop.
    #[serde(default)]
    pub iothread: Option<String>,
    /// The number of request queues (virtio-blk). Defaults to one for each CPU.
    #[serde(default)]
    pub queues: Option<u16>,
    /// The logical sector size in bytes. Defaults to 512.
    #[serde(default)]
    pub logical_block_size: Option<u32>,
    /// The physical sector size in bytes. Defaults to 512.
    #[serde(default)]
    pub physical_block_size: Option<u32>,
    /// The start of the disk in a raw image, in bytes. Defaults to 0.
    #[serde(default)]
    pub offset: Option<Size>,
    /// The size of the disk in a raw image. Defaults to the rest of the image.
    #[serde(default)]
    pub size: Option<Size>,
    /// What happens when a read fails.
    #[serde(default)]
    pub read_error: Option<OnError>,
    /// What happens when a write fails.
    #[serde(default)]
    pub write_error: Option<OnError>,
    /// Whether several VMs may write to the disk at once, as for cluster file systems.
    #[serde(default)]
    pub share_rw: bool,
    /// The id of the controller (SCSI, SATA): one of `devices`, or `ide` for the board's own SATA ports. Defaults to any with room.
    #[serde(default)]
    pub controller: Option<String>,
    /// The place on the controller: the SCSI target, the SATA port, or the IDE drive from 0 to 3; the number of a drive of the board
    /// (`sd`, `mtd`, `floppy`, `pflash`). Defaults to the next free one.
    #[serde(default)]
    pub unit: Option<u16>,
    /// The logical unit behind the SCSI target. Defaults to 0.
    #[serde(default)]
    pub lun: Option<u16>,
    /// The address (PCI, channel I/O or memory-mapped slot). Defaults to an address chosen by the plan.
    #[serde(default)]
    pub address: Option<Address>,
    /// Whether it must be hot-unpluggable; `false` lets it share a slot with other devices. By default it is
    /// hot-unpluggable if there is room.
    #[serde(default)]
    pub hotplug: Option<bool>,
    /// Additional properties of the device, passed on unchanged.
    #[serde(default)]
    pub properties: Props,
}

impl Disk {
    /// Makes a writable virtio disk with this backend.
    pub fn new(backend: DiskBackend) -> Self {
        Self {
            id: None,
            backend,
            format: None,
            backing: Backing::default(),
            key_secret: None,
            interface: DiskInterface::default(),
            read_only: false,
            snapshot: false,
            cache: None,
            aio: None,
            discard: false,
            detect_zeroes: DetectZeroes::default(),
            throttle: None,
            serial: None,
            wwn: None,
            boot_index: None,
            iothread: None,
            queues: None,
            logical_block_size: None,
            physical_block_size: None,
            offset: None,
            size: None,
            read_error: None,
            write_error: None,
            share_rw: false,
            controller: None,
            unit: None,
            lun: None,
            address: None,
            hotplug: None,
            properties: Props::new(),
        }
    }

    /// Makes a writable virtio disk with an image file, whose format is determined by its file name extension.
    pub fn file(path: impl Into<PathBuf>) -> Self {
        Self::new(DiskBackend::file(path))
    }
}

impl FromStr for Disk {
    type Err = std::convert::Infallible;

    fn from_str(path: &str) -> Result<Self, Self::Err> {
        Ok(Self::file(path))
    }
}

impl flexible::Short for Disk {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::text()
    }
}

/// The device that the guest sees.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum DiskInterface {
    /// `virtio-blk`: the fastest.
    #[default]
    Virtio,
    /// A SCSI disk on a `virtio-scsi` controller.
    VirtioScsi,
    /// A SATA disk on an AHCI controller.
    Sata,
    /// An IDE disk, on machines that have the controller.
    Ide,
    /// An `NVMe` controller with one namespace.
    Nvme,
    /// USB mass storage.
    Usb,
    /// A SCSI disk on a controller of `devices` of another kind (`lsi53c895a`, `megasas`, `spapr-vscsi` …), or on the board's own.
    Scsi,
    /// A card in the board's SD slot.
    Sd,
    /// The board's flash memory on SPI, I2C or a parallel bus (QEMU's `if=mtd`).
    Mtd,
    /// The board's parallel flash memory (QEMU's `if=pflash`), where `firmware` is something else.
    Pflash,
    /// A floppy disk drive of the board.
    Floppy,
    /// No device: an image that only QEMU uses, such as one for snapshots of the machine.
    None,
}

impl DiskInterface {
    /// The word of QEMU's `-drive if=`, for a drive that only the board itself can connect.
    pub(crate) const fn of_the_board(self) -> Option<&'static str> {
        match self {
            Self::Sd => Some("sd"),
            Self::Mtd => Some("mtd"),
            Self::Pflash => Some("pflash"),
            Self::Floppy => Some("floppy"),
            _ => None,
        }
    }
}

/// The backing image of an overlay.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum Backing {
    /// The one in the image's header. Use `none` for untrusted images, since a header may name any file of the host.
    #[default]
    #[serde(deserialize_with = "flexible::nothing_more")]
    Header,
    /// None, regardless of the header.
    #[serde(deserialize_with = "flexible::nothing_more")]
    None,
    /// This image, regardless of the header. It is opened read-only.
    Image(Box<BackingImage>),
}

/// A backing image.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BackingImage {
    /// The storage. In config files, may be given as just a path.
    #[serde(deserialize_with = "flexible::one")]
    pub backend: DiskBackend,
    /// The format. Defaults to the same as for a disk.
    #[serde(default)]
    pub format: Option<BlockFormat>,
    /// The id of the secret that unlocks it.
    #[serde(default)]
    pub key_secret: Option<String>,
    /// Its own backing image.
    #[serde(default)]
    pub backing: Backing,
}

impl BackingImage {
    /// Makes a backing image whose format is determined by its file name extension, and whose own backing image by its
    /// header.
    pub fn new(backend: DiskBackend) -> Self {
        Self { backend, format: None, key_secret: None, backing: Backing::default() }
    }
}
