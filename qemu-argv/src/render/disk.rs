//! Disks: nodes, then the device the guest sees.

use smol_str::SmolStr;

use super::block::{Image, Opening, image};
use super::throttle;
use crate::config::{Cache, DetectZeroes, Disk, DiskInterface, OnError};
use crate::draft::Draft;
use crate::error::At;
use crate::plan::topology::{Connector, PciRequest, ScsiRequest, UsbRequest};
use crate::value::Props;

pub(super) fn disks(draft: &mut Draft<'_>) {
    let config = draft.config;
    let ids = draft.ids("disks", "disk", &config.disks, |disk| disk.id.as_deref());
    for (index, (disk, id)) in config.disks.iter().zip(ids).enumerate() {
        one(draft, At::ROOT.item("disks", index), &id, disk);
    }
}

fn one(draft: &mut Draft<'_>, at: At<'_>, id: &str, disk: &Disk) {
    let opening =
        Opening { read_only: disk.read_only, cache: disk.cache, aio: disk.aio, discard: disk.discard };
    let zeroes = match disk.detect_zeroes {
        DetectZeroes::Off => None,
        DetectZeroes::On => Some("on"),
        DetectZeroes::Unmap => {
            if !disk.discard {
                draft.conflict(at.field("detect_zeroes"), "zeroes can be unmapped only with `discard`");
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
    image(draft, at, id, part, opening, Props::new().with_some("detect-zeroes", zeroes));
    let top = match &disk.throttle {
        Some(limits) => throttle::filter(draft, at, id, limits, id.into()),
        None => id.into(),
    };
    device(draft, at, id, disk, top);
}

fn device(draft: &mut Draft<'_>, at: At<'_>, id: &str, disk: &Disk, node: SmolStr) {
    let (driver, connector, serial_room) = interface(draft, at, disk);
    let is_virtio = disk.interface == DiskInterface::Virtio;
    let mut props = Props::new().with("drive", node);
    if let Some(serial) = &disk.serial {
        if serial.len() > serial_room {
            let why =
                format!("is too long for a serial number on this interface, {serial_room} bytes at most");
            draft.invalid(at.field("serial"), serial, why);
        }
        props.set("serial", serial);
    } else if disk.interface == DiskInterface::Nvme {
        // QEMU makes no NVMe controller without one.
        props.set("serial", id.chars().take(serial_room).collect::<String>());
    }
    if let Some(wwn) = disk.wwn {
        if !matches!(disk.interface, DiskInterface::VirtioScsi | DiskInterface::Sata | DiskInterface::Ide) {
            draft.conflict(at.field("wwn"), "only SCSI, SATA and IDE disks have a World Wide Name");
        }
        props.set("wwn", wwn);
    }
    if let Some(index) = disk.boot_index {
        draft.boot_index(at, index);
        props.set("bootindex", index);
    }
    if matches!(disk.cache, Some(Cache::Writethrough | Cache::Directsync)) {
        props.set("write-cache", "off");
    }
    if let Some(thread) = &disk.iothread {
        if is_virtio {
            let known = draft.config.iothreads.iter().map(|thread| thread.id.as_str());
            draft.refer(at.field("iothread"), "iothread", thread, known);
            props.set("iothread", thread);
        } else {
            draft.conflict(at.field("iothread"), "only virtio-blk disks are served by an iothread");
        }
    }
    if let Some(queues) = disk.queues {
        if !is_virtio {
            draft.conflict(at.field("queues"), "only virtio-blk disks have a number of queues");
        } else if !(1..=1024).contains(&queues) {
            draft.invalid(at.field("queues"), &queues.to_string(), "is no number of queues: 1 to 1024");
        }
        props.set("num-queues", queues);
    }
    for (field, key, size) in [
        ("logical_block_size", "logical_block_size", disk.logical_block_size),
        ("physical_block_size", "physical_block_size", disk.physical_block_size),
    ] {
        let Some(size) = size else { continue };
        if !size.is_power_of_two() || !(512..=2 << 20).contains(&size) {
            draft.invalid(
                at.field(field),
                &size.to_string(),
                "is no sector size: a power of two from 512 to 2097152",
            );
        }
        props.set(key, size);
    }
    props = props
        .with_some("rerror", on_error(draft, at.field("read_error"), disk.interface, disk.read_error))
        .with_some("werror", on_error(draft, at.field("write_error"), disk.interface, disk.write_error));
    if disk.read_error == Some(OnError::Enospc) {
        draft.conflict(at.field("read_error"), "a read does not run out of space");
    }
    if disk.share_rw {
        props.set("share-rw", true);
    }
    let properties_at = at.field("properties");
    draft.check_keys(properties_at, &disk.properties);
    props.extend(disk.properties.clone());
    draft.device(at, driver, id, props, connector);
}

/// The driver, what it plugs into, and how long its serial number may be.
fn interface(draft: &mut Draft<'_>, at: At<'_>, disk: &Disk) -> (SmolStr, Connector, usize) {
    let mut pci = PciRequest::express();
    pci.address.clone_from(&disk.address);
    pci.hotplug = disk.hotplug.into();
    let on_pci = matches!(disk.interface, DiskInterface::Virtio | DiskInterface::Nvme);
    if disk.address.is_some() && !on_pci {
        draft.conflict(
            at.field("address"),
            "only virtio-blk and NVMe disks are devices with an address of their own",
        );
    }
    if disk.read_only && matches!(disk.interface, DiskInterface::Sata | DiskInterface::Ide) {
        draft.conflict(at.field("read_only"), "SATA and IDE disks cannot be read-only; CD-ROMs can");
    }
    match disk.interface {
        DiskInterface::Virtio => (draft.board.virtio("virtio-blk"), Connector::Virtio(pci), 20),
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
    draft: &mut Draft<'_>,
    at: At<'_>,
    interface: DiskInterface,
    action: Option<OnError>,
) -> Option<&'static str> {
    let action = action?;
    if interface == DiskInterface::Nvme {
        draft.conflict(at, "an NVMe disk has no choice of what happens on errors");
    }
    Some(match action {
        OnError::Report => "report",
        OnError::Ignore => "ignore",
        OnError::Stop => "stop",
        OnError::Enospc => "enospc",
    })
}
