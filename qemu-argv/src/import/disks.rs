//! The devices of disks and CD-ROM drives, each with its image.

use super::bag::{Bag, Why};
use super::drive;
use super::image;
use super::line::{Bus, Line};
use super::options::Fate;
use super::place;
use crate::config::{BlockFormat, Cdrom, CdromInterface, Disk, DiskInterface, VmConfig};
use crate::planner::provides;
use crate::topology::Provides;
use crate::value::Value;

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
        "scsi-hd" if other_scsi(line, config, bus.as_deref()) => DiskInterface::Scsi,
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
    let (controller, unit, lun) = behind(line, config, id.as_deref(), &mut bag)?;
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
    if !on_pci && interface != DiskInterface::Usb {
        (disk.controller, disk.unit, disk.lun) = (controller, unit, lun);
    }
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

/// The controller, the unit and the logical unit of a disk.
type Place = (Option<String>, Option<u16>, Option<u16>);

/// The place behind a controller. In a planned machine it is planned anew, and asked for should that give another one.
fn behind(line: &mut Line, config: &VmConfig, id: Option<&str>, bag: &mut Bag) -> Result<Place, Why> {
    let bus = bag.peek("bus").map(str::to_owned);
    let (owner, number) = match bus.as_deref().and_then(|bus| bus.rsplit_once('.')) {
        Some((owner, number)) => (Some(owner.to_owned()), number.parse::<u16>().ok()),
        None => (None, None),
    };
    let (target, lun) = (bag.number::<u16>("scsi-id")?, bag.number::<u16>("lun")?);
    bag.take("channel");
    let place = bag.number::<u16>("unit")?;
    let known = bus.as_deref().and_then(|bus| place::known_bus(line, bus));
    // The board's own channels have two drives each.
    let channel = owner.as_deref() == Some("ide") && !line.is_q35();
    let unit = match (target, known) {
        (Some(target), _) => Some(target),
        (None, _) if channel => Some(number.unwrap_or(0) * 2 + place.unwrap_or(0)),
        (None, Some(Bus::Sata)) => number,
        _ if owner.as_deref() == Some("ide") => number,
        _ => None,
    };
    if line.planned {
        if let (Some(id), Some(unit)) = (id, unit) {
            line.units.insert(id.to_owned(), (owner.filter(|_| !channel), unit, lun.unwrap_or(0)));
        }
        return Ok((None, None, None));
    }
    let own = owner.filter(|owner| config.devices.iter().any(|device| device.id.as_ref() == Some(owner)));
    let asked = own.is_some() || bus.as_deref().is_some_and(|bus| bus.starts_with("ide."));
    Ok((own, unit.filter(|_| asked), lun.filter(|lun| *lun > 0)))
}

/// Whether a SCSI device is on a controller of another kind than virtio-scsi.
fn other_scsi(line: &Line, config: &VmConfig, bus: Option<&str>) -> bool {
    let others = config.devices.iter().filter(|device| {
        matches!(provides(&device.driver, &device.properties), Some(Provides::OtherScsi { .. }))
    });
    let mut others = others.filter_map(|device| device.id.as_deref());
    match bus {
        Some(bus) => others.any(|id| bus.strip_suffix(".0") == Some(id)),
        None => others.next().is_some() && !line.buses.values().any(|bus| *bus == Bus::Scsi),
    }
}

/// Images that only QEMU uses.
pub(super) fn alone(line: &mut Line, config: &mut VmConfig) {
    for (name, key) in [("blockdev", "node-name"), ("drive", "id")] {
        for at in line.open(name) {
            let Some(id) = line.bag(at).peek(key).map(str::to_owned) else { continue };
            if name == "drive" && line.bag(at).peek("if") != Some("none") || is_used(line, at, &id) {
                continue;
            }
            let made = if name == "drive" {
                drive::of_drive(line, &id)
                    .and_then(|(_, drive)| drive::for_device(drive, None))
                    .map(|disk| (disk, Vec::new()))
            } else {
                image::of_node(line, &id, &[])
                    .and_then(|image| Ok((image.options.clone(), drive::of_image(image, None)?)))
                    .map(|(taken, disk)| (disk, taken))
            };
            if let Ok((disk, taken)) = made {
                config.disks.push(Disk { id: Some(id), interface: DiskInterface::None, ..disk });
                line.typed(at);
                line.typed_all(&taken);
            }
        }
    }
}

/// Whether another option has a text that may be this name.
fn is_used(line: &Line, at: usize, name: &str) -> bool {
    let quoted = format!("\"{name}\"");
    let names = |value: &Value| matches!(value, Value::Str(text) if text == name || text.contains(&quoted));
    line.options.iter().enumerate().filter(|(other, option)| *other != at && option.name != "L").any(
        |(_, option)| {
            option.text() == name
                || option.text().starts_with('{') && option.text().contains(&quoted)
                || option
                    .bag
                    .as_ref()
                    .is_some_and(|bag| bag.iter().any(|(key, value)| key != "guest" && names(value)))
        },
    )
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
            if other_scsi(line, config, bus.as_deref()) {
                CdromInterface::Scsi
            } else {
                scsi(line, bus.as_deref())?;
                CdromInterface::VirtioScsi
            }
        }
        _ if on_sata => CdromInterface::Sata,
        _ => CdromInterface::Auto,
    };
    let (controller, unit, lun) = behind(line, config, id.as_deref(), &mut bag)?;
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
    (cdrom.controller, cdrom.unit, cdrom.lun) = (controller, unit, lun);
    cdrom.properties = bag.properties()?;
    line.typed_all(&taken);
    config.cdroms.push(cdrom);
    Ok(())
}
