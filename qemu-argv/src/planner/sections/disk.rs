//! Disks: nodes, then the device the guest sees.

use smol_str::SmolStr;

use super::backend::Opening;
use super::block::{Image, image, overlay};
use super::{provider, throttle};
use crate::config::{Cache, DetectZeroes, Disk, DiskInterface, OnError, VmConfig};
use crate::name::join;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::topology::{Connector, Family, IdeAddress, PciRequest, ScsiRequest, UsbRequest};
use crate::value::Props;

pub(super) fn disks(builder: &mut Builder<'_>, config: &VmConfig) {
    let ids = builder.ids("disks", "disk", &config.disks, |disk| disk.id.as_deref());
    for (index, (disk, id)) in config.disks.iter().zip(ids).enumerate() {
        let snapshot = disk.snapshot || config.snapshot && !disk.read_only;
        let board_scsi = disk.controller.is_none() && !provider::has_other_scsi(config);
        one(builder, At::entry("disks", index), &id, disk, Rest { snapshot, board_scsi });
    }
}

/// What the rest of the machine says of a disk.
#[derive(Clone, Copy)]
struct Rest {
    /// Whether what is written is discarded.
    snapshot: bool,
    /// Whether the only SCSI controller of another kind than `virtio-scsi` can be the board's.
    board_scsi: bool,
}

/// The disk that comes to a running machine, and its group if it is the first in it.
pub(super) fn newcomer(builder: &mut Builder<'_>, disk: &Disk) {
    let (at, id) = builder.join("disks", "disk", disk, disk.id.as_deref());
    throttle::group(builder, at, disk);
    one(builder, at, &id, disk, Rest { snapshot: disk.snapshot, board_scsi: false });
}

fn one(builder: &mut Builder<'_>, at: At<'_>, id: &str, disk: &Disk, rest: Rest) {
    let opening =
        Opening { read_only: disk.read_only, cache: disk.cache, aio: disk.aio, discard: disk.discard };
    let zeroes = match disk.detect_zeroes {
        DetectZeroes::Off => None,
        DetectZeroes::On => Some("on"),
        DetectZeroes::Unmap => {
            if !disk.discard {
                builder.conflict(at.field("detect_zeroes"), "`detect_zeroes = \"unmap\"` requires `discard`");
            }
            Some("unmap")
        }
    };
    let part = Image {
        field: "backend",
        backend: &disk.backend,
        format: disk.format,
        key_secret: disk.key_secret.as_deref(),
        backing: &disk.backing,
        offset: disk.offset,
        size: disk.size,
    };
    let zeroes = Props::new().with_some("detect-zeroes", zeroes);
    if rest.snapshot {
        if disk.read_only {
            builder.conflict(at.field("snapshot"), "`snapshot` has no effect on a disk that is `read_only`");
        }
        overlay(builder, at, id, part, opening, zeroes);
    } else {
        image(builder, at, id, part, opening, zeroes);
    }
    let top = match &disk.throttle {
        Some(limits) => throttle::filter(builder, at, id, limits, id.into()),
        None => id.into(),
    };
    let top = if builder.has_replay {
        let name = join([id, "-replay"]);
        builder.node(at, "blkreplay", name.clone(), Props::new().with("image", top));
        name
    } else {
        top
    };
    let board = builder.board.family();
    let of_the_board = match disk.interface.of_the_board() {
        // What is there by itself has no name that a device could refer to.
        None if disk.interface == DiskInterface::Scsi && rest.board_scsi => {
            matches!(board, Family::Unknown | Family::Pseries | Family::Vexpress).then_some("scsi")
        }
        word => word,
    };
    match of_the_board {
        Some(word) => drive(builder, at, id, disk, word, top),
        None if disk.interface == DiskInterface::None => no_device(builder, at, disk),
        None => device(builder, at, id, disk, top),
    }
}

/// Refuses what is said of a device that there is not.
fn no_device(builder: &mut Builder<'_>, at: At<'_>, disk: &Disk) {
    let device = disk.serial.is_some()
        || disk.wwn.is_some()
        || disk.boot_index.is_some()
        || disk.iothread.is_some()
        || disk.queues.is_some()
        || disk.logical_block_size.is_some()
        || disk.physical_block_size.is_some()
        || disk.read_error.is_some()
        || disk.write_error.is_some()
        || disk.share_rw
        || disk.controller.is_some()
        || disk.lun.is_some()
        || disk.address.is_some()
        || disk.hotplug.is_some()
        || !disk.properties.is_empty();
    let unit = disk.unit.is_some() && disk.interface == DiskInterface::None;
    if device || unit {
        builder.conflict(at.field("interface"), "device settings are not supported by this interface");
    }
}

/// A drive that only the board itself can connect: its nodes are those of any disk, and `-drive` says where it belongs.
fn drive(builder: &mut Builder<'_>, at: At<'_>, id: &str, disk: &Disk, word: &'static str, node: SmolStr) {
    no_device(builder, at, disk);
    if builder.running {
        builder.conflict(at.field("interface"), "a drive of the board cannot be hot-plugged");
    }
    let file = Props::new().with("driver", "raw").with("read-only", disk.read_only).with("file", node);
    let index = disk.unit.unwrap_or_else(|| builder.next_drive(word));
    let props = Props::new()
        .with("if", word)
        .with("index", index)
        .with("id", join([id, "-drive"]))
        .with_some("readonly", disk.read_only.then_some(true))
        .with("file", format!("json:{}", file.to_json()));
    builder.option(at, "-drive", props);
}

/// A place behind a controller.
#[derive(Clone, Copy)]
pub(super) struct Behind<'a> {
    pub(super) controller: Option<&'a str>,
    pub(super) unit: Option<u16>,
    pub(super) lun: Option<u16>,
}

impl Behind<'_> {
    pub(super) fn scsi(self, other: bool) -> Connector {
        let controller = self.controller.map(str::to_owned);
        Connector::Scsi(ScsiRequest { controller, target: self.unit, lun: self.lun.unwrap_or(0), other })
    }

    pub(super) fn sata(self, builder: &mut Builder<'_>, at: At<'_>) -> Connector {
        self.no_lun(builder, at);
        let bus = match (self.controller, self.unit) {
            (None, None) => None,
            (Some(controller), None) => Some(controller.to_owned()),
            (controller, Some(unit)) => Some(format!("{}.{unit}", controller.unwrap_or("ide"))),
        };
        Connector::Sata { bus }
    }

    pub(super) fn ide(self, builder: &mut Builder<'_>, at: At<'_>) -> Connector {
        self.no_lun(builder, at);
        if self.controller.is_some() {
            builder.conflict(at.field("controller"), "IDE drives are on the board's own controller");
        }
        if self.unit.is_some_and(|unit| unit > 3) {
            let unit = self.unit.unwrap_or_default().to_string();
            builder.invalid(at.field("unit"), &unit, "is not a valid IDE drive; expected 0 to 3");
        }
        let place = |unit: u16| {
            let unit = u8::try_from(unit & 3).unwrap_or_default();
            IdeAddress { channel: unit / 2, unit: unit % 2 }
        };
        Connector::Ide { at: self.unit.map(place) }
    }

    /// Refuses a place for devices that are not behind a controller.
    fn nowhere(self, builder: &mut Builder<'_>, at: At<'_>) {
        self.no_lun(builder, at);
        if self.controller.is_some() || self.unit.is_some() {
            builder.conflict(
                at.field(if self.controller.is_some() { "controller" } else { "unit" }),
                "`controller` and `unit` are only supported by SCSI, SATA and IDE disks; others have an `address`",
            );
        }
    }

    fn no_lun(self, builder: &mut Builder<'_>, at: At<'_>) {
        if self.lun.is_some() {
            builder.conflict(at.field("lun"), "`lun` is only supported by SCSI disks");
        }
    }
}

fn device(builder: &mut Builder<'_>, at: At<'_>, id: &str, disk: &Disk, node: SmolStr) {
    let (driver, connector, serial_room) = interface(builder, at, disk);
    let is_virtio = disk.interface == DiskInterface::Virtio;
    let mut props = Props::new().with("drive", node);
    if let Some(serial) = &disk.serial {
        if serial.len() > serial_room {
            let why =
                format!("is too long: serial numbers of this interface can have at most {serial_room} bytes");
            builder.invalid(at.field("serial"), serial, why);
        }
        props.set("serial", serial);
    } else if disk.interface == DiskInterface::Nvme {
        // QEMU makes no NVMe controller without one.
        props.set("serial", id.chars().take(serial_room).collect::<String>());
    }
    if let Some(wwn) = disk.wwn {
        use DiskInterface as Kind;
        if !matches!(disk.interface, Kind::VirtioScsi | Kind::Scsi | Kind::Sata | Kind::Ide) {
            builder.conflict(at.field("wwn"), "`wwn` is only supported by SCSI, SATA and IDE disks");
        }
        props.set("wwn", wwn);
    }
    if let Some(index) = disk.boot_index {
        builder.boot_index(at, index);
        props.set("bootindex", index);
    }
    if matches!(disk.cache, Some(Cache::Writethrough | Cache::Directsync)) {
        props.set("write-cache", "off");
    }
    if let Some(thread) = &disk.iothread {
        if is_virtio {
            builder.iothread(at.field("iothread"), thread);
            props.set("iothread", thread);
        } else {
            let why = "`iothread` is only supported by virtio-blk disks; for SCSI ones, set it in the `properties` of a virtio-scsi-pci in `devices`";
            builder.conflict(at.field("iothread"), why);
        }
    }
    if let Some(queues) = disk.queues {
        if !is_virtio {
            builder.conflict(at.field("queues"), "`queues` is only supported by virtio-blk disks");
        } else if !(1..=1024).contains(&queues) {
            builder.invalid(
                at.field("queues"),
                &queues.to_string(),
                "is not a valid number of queues; expected 1 to 1024",
            );
        }
        props.set("num-queues", queues);
    }
    for (field, key, size) in [
        ("logical_block_size", "logical_block_size", disk.logical_block_size),
        ("physical_block_size", "physical_block_size", disk.physical_block_size),
    ] {
        let Some(size) = size else { continue };
        if !size.is_power_of_two() || !(512..=2 << 20).contains(&size) {
            builder.invalid(
                at.field(field),
                &size.to_string(),
                "is not a valid sector size; expected a power of two from 512 to 2097152",
            );
        }
        props.set(key, size);
    }
    props = props
        .with_some("rerror", on_error(builder, at.field("read_error"), disk.interface, disk.read_error))
        .with_some("werror", on_error(builder, at.field("write_error"), disk.interface, disk.write_error));
    if disk.read_error == Some(OnError::Enospc) {
        builder.conflict(
            at.field("read_error"),
            "`read_error` does not support `enospc`: a read cannot run out of space",
        );
    }
    if disk.share_rw {
        props.set("share-rw", true);
    }
    let properties_at = at.field("properties");
    builder.check_keys(properties_at, &disk.properties);
    props.extend(disk.properties.clone());
    builder.device(at, driver, id, props, connector);
}

/// The driver, what it plugs into, and how long its serial number may be.
fn interface(builder: &mut Builder<'_>, at: At<'_>, disk: &Disk) -> (SmolStr, Connector, usize) {
    let mut pci = PciRequest::express();
    pci.address.clone_from(&disk.address);
    pci.hotplug = disk.hotplug.into();
    let on_pci = matches!(disk.interface, DiskInterface::Virtio | DiskInterface::Nvme);
    if disk.address.is_some() && !on_pci {
        builder.conflict(at.field("address"), "`address` is only supported by virtio-blk and NVMe disks");
    }
    if disk.read_only && matches!(disk.interface, DiskInterface::Sata | DiskInterface::Ide) {
        builder.conflict(
            at.field("read_only"),
            "`read_only` is not supported by SATA and IDE disks; use a CD-ROM drive",
        );
    }
    let place = Behind { controller: disk.controller.as_deref(), unit: disk.unit, lun: disk.lun };
    if on_pci || disk.interface == DiskInterface::Usb {
        place.nowhere(builder, at);
    }
    match disk.interface {
        DiskInterface::Virtio => (builder.board.virtio("virtio-blk", &pci), Connector::Virtio(pci), 20),
        DiskInterface::VirtioScsi | DiskInterface::Scsi => {
            // Without a `device_id` of its own the disk's is the serial number, and has less room.
            let room = if disk.properties.get("device_id").is_some() { 36 } else { 20 };
            ("scsi-hd".into(), place.scsi(disk.interface == DiskInterface::Scsi), room)
        }
        DiskInterface::Sata => ("ide-hd".into(), place.sata(builder, at), 20),
        DiskInterface::Ide => ("ide-hd".into(), place.ide(builder, at), 20),
        DiskInterface::Nvme => ("nvme".into(), Connector::Pci(pci), 20),
        DiskInterface::Usb
        | DiskInterface::Sd
        | DiskInterface::Mtd
        | DiskInterface::Pflash
        | DiskInterface::Floppy
        | DiskInterface::None => ("usb-storage".into(), Connector::Usb(UsbRequest::default()), 20),
    }
}

fn on_error(
    builder: &mut Builder<'_>,
    at: At<'_>,
    interface: DiskInterface,
    action: Option<OnError>,
) -> Option<&'static str> {
    let action = action?;
    if interface == DiskInterface::Nvme {
        builder.conflict(at, "`read_error` and `write_error` are not supported by NVMe disks");
    }
    Some(match action {
        OnError::Report => "report",
        OnError::Ignore => "ignore",
        OnError::Stop => "stop",
        OnError::Enospc => "enospc",
    })
}
