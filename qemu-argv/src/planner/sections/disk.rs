//! Disks: nodes, then the device the guest sees.

use smol_str::SmolStr;

use super::backend::Opening;
use super::block::{Image, image, overlay};
use super::throttle;
use crate::config::{Cache, DetectZeroes, Disk, DiskInterface, OnError, VmConfig};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::topology::{Connector, PciRequest, ScsiRequest, UsbRequest};
use crate::value::Props;

pub(super) fn disks(builder: &mut Builder<'_>, config: &VmConfig) {
    let ids = builder.ids("disks", "disk", &config.disks, |disk| disk.id.as_deref());
    for (index, (disk, id)) in config.disks.iter().zip(ids).enumerate() {
        one(builder, At::entry("disks", index), &id, disk);
    }
}

/// The disk that comes to a running machine, and its group if it is the first in it.
pub(super) fn newcomer(builder: &mut Builder<'_>, disk: &Disk) {
    let (at, id) = builder.join("disks", "disk", disk, disk.id.as_deref());
    throttle::group(builder, at, disk);
    one(builder, at, &id, disk);
}

fn one(builder: &mut Builder<'_>, at: At<'_>, id: &str, disk: &Disk) {
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
    };
    let zeroes = Props::new().with_some("detect-zeroes", zeroes);
    if disk.snapshot {
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
    device(builder, at, id, disk, top);
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
        if !matches!(disk.interface, DiskInterface::VirtioScsi | DiskInterface::Sata | DiskInterface::Ide) {
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
            builder.conflict(at.field("iothread"), "`iothread` is only supported by virtio-blk disks");
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
    match disk.interface {
        DiskInterface::Virtio => (builder.board.virtio("virtio-blk", &pci), Connector::Virtio(pci), 20),
        DiskInterface::VirtioScsi => {
            // Without a `device_id` of its own the disk's is the serial number, and has less room.
            let room = if disk.properties.get("device_id").is_some() { 36 } else { 20 };
            ("scsi-hd".into(), Connector::Scsi(ScsiRequest::default()), room)
        }
        DiskInterface::Sata => ("ide-hd".into(), Connector::Sata { bus: None }, 20),
        DiskInterface::Ide => ("ide-hd".into(), Connector::Ide { at: None }, 20),
        DiskInterface::Nvme => ("nvme".into(), Connector::Pci(pci), 20),
        DiskInterface::Usb => ("usb-storage".into(), Connector::Usb(UsbRequest::default()), 20),
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
