//! The devices of disks and CD-ROM drives, each with its image.

use super::bag::{Bag, Why};
use super::drive;
use super::image;
use super::line::{Bus, Line};
use super::options::Fate;
use super::place;
use crate::config::{BlockFormat, Cdrom, CdromInterface, Disk, DiskInterface, VmConfig};

pub(super) fn disk(
    line: &mut Line,
    config: &mut VmConfig,
    driver: &str,
    id: Option<String>,
    mut bag: Bag,
) -> Result<(), Why> {
    let bus = bag.peek("bus").map(str::to_owned);
    let interface = match driver {
        "virtio-blk" => DiskInterface::Virtio,
        "nvme" => DiskInterface::Nvme,
        "usb-storage" => DiskInterface::Usb,
        "scsi-hd" => DiskInterface::VirtioScsi,
        _ if bus.as_deref().is_some_and(|bus| place::known_bus(line, bus) == Some(Bus::Sata)) => {
            DiskInterface::Sata
        }
        // Others have channels of their own.
        _ if line.is_q35() || line.is_virt() => DiskInterface::Sata,
        _ => DiskInterface::Ide,
    };
    if interface == DiskInterface::VirtioScsi {
        scsi(line, bus.as_deref())?;
    }
    let on_pci = matches!(interface, DiskInterface::Virtio | DiskInterface::Nvme);
    let place = place::placed(line, &mut bag, !on_pci)?;
    let drive = bag.needed("drive")?;
    let write_cache = bag.flag("write-cache").ok().flatten();
    let groups: Vec<String> =
        config.disks.iter().filter_map(|disk| disk.throttle.as_ref()?.group.clone()).collect();
    let (mut disk, taken) = if line.definition("drive", &drive).is_some() {
        let (at, drive) = drive::of_drive(line, &drive)?;
        (drive::for_device(drive, write_cache)?, vec![at])
    } else {
        let image = image::of_node(line, &drive, &groups)?;
        let taken = image.options.clone();
        (drive::of_image(image, write_cache)?, taken)
    };
    disk.interface = interface;
    disk.id = id.or_else(|| (!line.planned && line.anywhere("drive", &drive).is_none()).then_some(drive));
    settings(&mut disk, &mut bag)?;
    if interface == DiskInterface::Nvme && disk.serial.is_some() && disk.serial == disk.id {
        disk.serial = None;
    }
    disk.properties = bag.properties()?;
    disk.address = line.placed(disk.id.as_deref(), place).filter(|_| on_pci);
    line.typed_all(&taken);
    config.disks.push(disk);
    Ok(())
}

/// What the device of a disk is told.
fn settings(disk: &mut Disk, bag: &mut Bag) -> Result<(), Why> {
    disk.serial = bag.text("serial")?;
    disk.wwn = bag.number("wwn")?;
    disk.boot_index = bag.number("bootindex")?;
    disk.iothread = bag.text("iothread")?;
    disk.queues = bag.number("num-queues")?;
    disk.logical_block_size = bag.number("logical_block_size")?;
    disk.physical_block_size = bag.number("physical_block_size")?;
    disk.read_error = bag.same_word("rerror")?.or(disk.read_error);
    disk.write_error = bag.same_word("werror")?.or(disk.write_error);
    disk.share_rw = bag.flag("share-rw")?.unwrap_or_default();
    Ok(())
}

/// Whether the SCSI bus is one that a config brings along.
fn scsi(line: &Line, bus: Option<&str>) -> Result<(), Why> {
    let known = match bus {
        Some(bus) => place::known_bus(line, bus) == Some(Bus::Scsi),
        None => line.buses.values().any(|bus| *bus == Bus::Scsi) || scsi_without_id(line),
    };
    if known { Ok(()) } else { Err("a config has SCSI disks on virtio-scsi".into()) }
}

fn scsi_without_id(line: &Line) -> bool {
    line.options.iter().any(|option| {
        let driver = option.bag.as_ref().and_then(|bag| bag.peek("driver"));
        option.name == "device"
            && option.fate == Fate::Typed
            && driver.is_some_and(|driver| driver.starts_with("virtio-scsi"))
    })
}

pub(super) fn cdrom(
    line: &mut Line,
    config: &mut VmConfig,
    driver: &str,
    id: Option<String>,
    mut bag: Bag,
) -> Result<(), Why> {
    let bus = bag.peek("bus").map(str::to_owned);
    let on_sata = bus.as_deref().is_some_and(|bus| place::known_bus(line, bus) == Some(Bus::Sata));
    let interface = match driver {
        "scsi-cd" => {
            scsi(line, bus.as_deref())?;
            CdromInterface::VirtioScsi
        }
        _ if on_sata => CdromInterface::Sata,
        _ => CdromInterface::Auto,
    };
    place::placed(line, &mut bag, true)?;
    let mut taken = Vec::new();
    let mut cdrom = match bag.text("drive")? {
        None => Cdrom::default(),
        Some(drive) if line.definition("drive", &drive).is_some() => {
            let (at, drive) = drive::of_drive(line, &drive)?;
            taken.push(at);
            drive::medium(&drive)?
        }
        Some(drive) => {
            let image = image::of_node(line, &drive, &[])?;
            taken.extend(&image.options);
            if !image.read_only || image.cache.is_some() || image.throttle.is_some() || image.discard {
                return Err("a config has no such settings for a CD-ROM drive".into());
            }
            let format = image.format.filter(|format| *format != BlockFormat::Raw);
            Cdrom { medium: Some(image.backend), format, ..Cdrom::default() }
        }
    };
    cdrom.id = id;
    cdrom.interface = interface;
    cdrom.boot_index = bag.number("bootindex")?;
    bag.done()?;
    line.typed_all(&taken);
    config.cdroms.push(cdrom);
    Ok(())
}
