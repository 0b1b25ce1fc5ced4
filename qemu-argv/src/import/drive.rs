//! Images as people write them: `-drive`, `-hda`, `-cdrom`, `-pflash`, and an image that stands alone.

use super::bag::{Bag, Why};
use super::image::{self, Image};
use super::line::Line;
use super::storage;
use crate::config::{
    BlockFormat, Cache, Cdrom, CdromInterface, Disk, DiskBackend, DiskInterface, OnError, VmConfig,
};
use crate::qemu_target::Arch;

/// What `-drive` says of an image and of the device it is for.
pub(super) struct Drive {
    /// Nothing for a drive without a medium.
    pub(super) image: Option<Image>,
    /// Its number among the drives of its interface.
    pub(super) index: Option<u32>,
    interface: String,
    pub(super) is_cdrom: bool,
    read_error: Option<OnError>,
    write_error: Option<OnError>,
}

impl Drive {
    /// The options that its image is made of.
    fn options(&self) -> Vec<usize> {
        self.image.iter().flat_map(|image| image.options.clone()).collect()
    }
}

/// The interface of `-drive` without `if`, and of `-hda`.
fn default_interface(line: &Line) -> &'static str {
    match line.arch {
        Arch::X86_64 | Arch::I386 if line.machine != "microvm" => "ide",
        Arch::Ppc64 | Arch::Sparc64 | Arch::Mips | Arch::Mipsel | Arch::Mips64 | Arch::Mips64el => "scsi",
        Arch::Ppc => "ide",
        _ => "virtio",
    }
}

/// All images that are disks by themselves, without a device that refers to them.
pub(super) fn drives(line: &mut Line, config: &mut VmConfig) {
    line.switch("snapshot");
    let mut disks: Vec<(u32, Disk)> = Vec::new();
    let mut cdroms = Vec::new();
    let mut indexes = 0_u32;
    for at in 0..line.options.len() {
        let option = &line.options[at];
        if option.fate != super::options::Fate::Open {
            continue;
        }
        if matches!(option.name, "fda" | "fdb" | "sd" | "mtdblock") {
            board_drive(line, at, &mut disks);
            continue;
        }
        let number = match option.name {
            "" | "hda" => Some(0),
            "hdb" => Some(1),
            "hdc" | "cdrom" => Some(2),
            "hdd" => Some(3),
            "drive" => None,
            _ => continue,
        };
        let drive = match number {
            Some(index) => simple(line, option.text(), index, option.name == "cdrom"),
            None => drive(line, line.bag(at)).and_then(|drive| {
                if drive.interface == "none" || drive.interface == "pflash" && !line.planned {
                    Err(String::new())
                } else {
                    Ok(drive)
                }
            }),
        };
        let drive = match drive {
            Ok(drive) => drive,
            // It is for a device, or for the firmware.
            Err(why) if why.is_empty() => continue,
            Err(why) => {
                line.extra(at, why);
                continue;
            }
        };
        let index = drive.index.unwrap_or(indexes);
        indexes = indexes.max(index.saturating_add(1));
        let made = if drive.is_cdrom {
            cdrom(line, &drive).map(|cdrom| cdroms.push(cdrom))
        } else {
            let (given, options) = (drive.index, drive.options());
            disk(line, drive).map(|mut disk| {
                line.typed_all(&options);
                if disk.interface.of_the_board().is_some() || disk.interface == DiskInterface::Scsi {
                    disk.id =
                        line.bag(at).peek("id").and_then(|id| id.strip_suffix("-drive")).map(str::to_owned);
                    let before = disks.iter().filter(|(_, other)| other.interface == disk.interface).count();
                    disk.unit = given.and_then(|given| u16::try_from(given).ok());
                    if disk.unit.map(usize::from) == Some(before) {
                        disk.unit = None;
                    }
                }
                disks.push((index, disk));
            })
        };
        match made {
            Ok(()) => line.typed(at),
            Err(why) => line.extra(at, why),
        }
    }
    disks.sort_by_key(|(index, disk)| (disk.interface.of_the_board().is_some(), *index));
    config.disks.extend(disks.into_iter().map(|(_, disk)| disk));
    config.cdroms.extend(cdroms);
}

/// `-fda`, `-fdb`, `-sd` and `-mtdblock`.
fn board_drive(line: &mut Line, at: usize, disks: &mut Vec<(u32, Disk)>) {
    let option = &line.options[at];
    let (interface, unit) = match option.name {
        "fda" => (DiskInterface::Floppy, Some(0)),
        "fdb" => (DiskInterface::Floppy, Some(1)),
        "sd" => (DiskInterface::Sd, None),
        _ => (DiskInterface::Mtd, None),
    };
    let made = storage::of_text(option.text()).and_then(|backend| {
        let image = throwaway(line, Image::of(backend));
        of_image(image, None)
    });
    match made {
        Ok(disk) => {
            disks.push((u32::MAX, Disk { interface, unit: unit.filter(|unit| *unit > 0), ..disk }));
            line.typed(at);
        }
        Err(why) => line.extra(at, why),
    }
}

fn simple(line: &Line, text: &str, index: u32, is_cdrom: bool) -> Result<Drive, Why> {
    let image = if text.is_empty() { None } else { Some(Image::of(storage::of_text(text)?)) };
    Ok(Drive {
        image: image.map(|image| throwaway(line, image)),
        index: Some(index),
        interface: default_interface(line).into(),
        is_cdrom,
        read_error: None,
        write_error: None,
    })
}

/// The image of a `-drive` that a device refers to.
pub(super) fn of_drive(line: &Line, id: &str) -> Result<(usize, Drive), Why> {
    let at = line.definition("drive", id).ok_or_else(|| format!("there is no drive {id} for it"))?;
    Ok((at, drive(line, line.bag(at))?))
}

pub(super) fn drive(line: &Line, mut bag: Bag) -> Result<Drive, Why> {
    bag.take("id");
    let interface = bag.text("if")?.unwrap_or_else(|| default_interface(line).into());
    let (bus, unit): (Option<u32>, Option<u32>) = (bag.number("bus")?, bag.number("unit")?);
    let index = match (bag.number("index")?, bus, unit) {
        (Some(index), None, None) => Some(index),
        (None, None, None) => None,
        (None, bus, unit) => Some(bus.unwrap_or(0).saturating_mul(2).saturating_add(unit.unwrap_or(0))),
        _ => return Err("its place is given twice".into()),
    };
    let is_cdrom = bag.word("media", &[("disk", false), ("cdrom", true)])?.unwrap_or_default();
    let (read_error, write_error) = (bag.same_word("rerror")?, bag.same_word("werror")?);
    let file = bag.text("file")?.filter(|file| !file.is_empty());
    let node = file.as_deref().and_then(|file| file.strip_prefix("json:"));
    if let Some(json) = node.filter(|_| line.planned) {
        let mut top = Bag::read(json, None, true)?;
        let name = top.needed("file")?;
        let mut image = image::of_node(line, &name, &[])?;
        image.read_only |= bag.flag("readonly")?.unwrap_or_default();
        bag.done()?;
        return Ok(Drive { image: Some(image), index, interface, is_cdrom, read_error, write_error });
    }
    let image = match file {
        Some(file) => Some(throwaway(line, opened(storage::of_text(&file)?, &mut bag)?)),
        None if is_cdrom => None,
        None => return Err("it has no `file`".into()),
    };
    bag.done()?;
    Ok(Drive { image, index, interface, is_cdrom, read_error, write_error })
}

/// `-snapshot` is for every image of this form that is written to.
fn throwaway(line: &Line, mut image: Image) -> Image {
    image.snapshot |= line.has("snapshot") && !image.read_only;
    image
}

fn opened(backend: DiskBackend, bag: &mut Bag) -> Result<Image, Why> {
    let mut image = Image::of(backend);
    let formats = BlockFormat::ALL.map(|format| (format.qemu_name(), format));
    image.format = bag.word("format", &formats)?;
    let caches = [
        ("writeback", Cache::Writeback),
        ("none", Cache::None),
        ("off", Cache::None),
        ("writethrough", Cache::Writethrough),
        ("directsync", Cache::Directsync),
        ("unsafe", Cache::Unsafe),
    ];
    image.cache_word = bag.word("cache", &caches)?;
    image.aio = bag.same_word("aio")?;
    image.discard = image::discard(bag)?;
    image.detect_zeroes = image::zeroes(bag)?;
    for key in ["readonly", "read-only"] {
        image.read_only |= bag.flag(key)?.unwrap_or_default();
    }
    bag.flag("auto-read-only")?;
    image.snapshot = bag.flag("snapshot")?.unwrap_or_default();
    let mut throttle = image::throttle(bag, "throttling.")?;
    throttle.group = bag.text("throttling.group")?;
    if throttle.group.is_some() {
        return Err("a config has no shared limits of `-drive`".into());
    }
    if throttle != crate::config::Throttle::default() {
        image.throttle = Some(throttle);
    }
    Ok(image)
}

fn cdrom(line: &Line, drive: &Drive) -> Result<Cdrom, Why> {
    let interface = match drive.interface.as_str() {
        "ide" => CdromInterface::Auto,
        "scsi" => CdromInterface::VirtioScsi,
        other => return Err(format!("a config has no CD-ROM drive on {other}")),
    };
    if drive.interface == "scsi" && !line.is_pc() && !line.is_q35() {
        return Err("the SCSI controller of this board is not in a config".into());
    }
    Ok(Cdrom { interface, ..medium(drive)? })
}

/// The drive with its medium, wherever it is plugged in.
pub(super) fn medium(drive: &Drive) -> Result<Cdrom, Why> {
    let Some(image) = &drive.image else { return Ok(Cdrom::default()) };
    let plain =
        image.cache_word.is_none() && image.aio.is_none() && !image.discard && image.throttle.is_none();
    if !plain || drive.read_error.is_some() || drive.write_error.is_some() {
        return Err("a config has no such settings for a CD-ROM drive".into());
    }
    let format = image.format.filter(|format| *format != BlockFormat::Raw);
    Ok(Cdrom { medium: Some(image.backend.clone()), format, ..Cdrom::default() })
}

fn disk(line: &Line, drive: Drive) -> Result<Disk, Why> {
    let interface = match drive.interface.as_str() {
        "virtio" => DiskInterface::Virtio,
        "ide" if line.is_q35() => DiskInterface::Sata,
        "ide" if line.is_pc() => DiskInterface::Ide,
        "sd" => DiskInterface::Sd,
        "mtd" => DiskInterface::Mtd,
        "pflash" => DiskInterface::Pflash,
        "floppy" => DiskInterface::Floppy,
        "scsi" if !line.is_pc() && !line.is_q35() && !line.is_virt() => DiskInterface::Scsi,
        other => return Err(format!("a config has no disk with if={other} on this board")),
    };
    let (read_error, write_error) = (drive.read_error, drive.write_error);
    let image = drive.image.ok_or("it has no medium")?;
    let disk = of_image(image, None)?;
    if disk.read_only && matches!(interface, DiskInterface::Sata | DiskInterface::Ide) {
        return Err("SATA and IDE disks cannot be read-only".into());
    }
    Ok(Disk { interface, read_error, write_error, ..disk })
}

/// A disk with all that its image says.
pub(super) fn of_image(image: Image, write_cache: Option<bool>) -> Result<Disk, Why> {
    let cache = image.cached(write_cache)?;
    Ok(Disk {
        format: image.told_format(),
        backing: image.backing,
        key_secret: image.key_secret,
        read_only: image.read_only,
        snapshot: image.snapshot,
        cache,
        aio: image.aio,
        discard: image.discard,
        detect_zeroes: image.detect_zeroes,
        throttle: image.throttle,
        offset: image.offset,
        size: image.size,
        ..Disk::new(image.backend)
    })
}

/// The disk of a `-drive` for a device of its own.
pub(super) fn for_device(drive: Drive, write_cache: Option<bool>) -> Result<Disk, Why> {
    let (read_error, write_error) = (drive.read_error, drive.write_error);
    let disk = of_image(drive.image.ok_or("it has no medium")?, write_cache)?;
    Ok(Disk { read_error, write_error, ..disk })
}
