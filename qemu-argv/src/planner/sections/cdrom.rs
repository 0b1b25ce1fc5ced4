//! CD-ROM drives.

use super::backend::Opening;
use super::block::{Image, image};
use super::disk::Behind;
use crate::config::{Backing, BlockFormat, Cdrom, CdromInterface, VmConfig};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::Props;

pub(super) fn cdroms(builder: &mut Builder<'_>, config: &VmConfig) {
    let ids = builder.ids("cdroms", "cdrom", &config.cdroms, |cdrom| cdrom.id.as_deref());
    for (index, (cdrom, id)) in config.cdroms.iter().zip(ids).enumerate() {
        one(builder, At::entry("cdroms", index), &id, cdrom);
    }
}

pub(super) fn newcomer(builder: &mut Builder<'_>, cdrom: &Cdrom) {
    let (at, id) = builder.join("cdroms", "cdrom", cdrom, cdrom.id.as_deref());
    one(builder, at, &id, cdrom);
}

fn one(builder: &mut Builder<'_>, at: At<'_>, id: &str, cdrom: &Cdrom) {
    let mut props = Props::new();
    if let Some(backend) = &cdrom.medium {
        let format = Some(cdrom.format.unwrap_or(BlockFormat::Raw));
        let (key_secret, backing) = (None, &Backing::Header);
        let (offset, size) = (None, None);
        let part = Image { field: "medium", backend, format, key_secret, backing, offset, size };
        let opening = Opening { read_only: true, cache: None, aio: None, discard: false };
        image(builder, at, id, part, opening, Props::new());
        props.set("drive", id);
    } else if cdrom.format.is_some() {
        builder.conflict(at.field("format"), "`format` requires `medium`");
    }
    if let Some(place) = cdrom.boot_index {
        builder.boot_index(at, place);
        props.set("bootindex", place);
    }
    let machine = builder.board.machine;
    let interface = match cdrom.interface {
        // The other buses do not take a drive while the machine runs.
        CdromInterface::Auto if builder.running => CdromInterface::VirtioScsi,
        CdromInterface::Auto if machine.sata_ports() > 0 => CdromInterface::Sata,
        CdromInterface::Auto if machine.ide_channels() > 0 => CdromInterface::Ide,
        CdromInterface::Auto => CdromInterface::VirtioScsi,
        given => given,
    };
    let interface = match (interface, &cdrom.controller) {
        // The board's other one is not meant.
        (CdromInterface::Ide, Some(_)) if cdrom.interface == CdromInterface::Auto => CdromInterface::Sata,
        (interface, _) => interface,
    };
    let place = Behind { controller: cdrom.controller.as_deref(), unit: cdrom.unit, lun: cdrom.lun };
    let (driver, connector) = match interface {
        CdromInterface::Sata => ("ide-cd", place.sata(builder, at)),
        CdromInterface::Ide => ("ide-cd", place.ide(builder, at)),
        CdromInterface::Scsi => ("scsi-cd", place.scsi(true)),
        CdromInterface::Auto | CdromInterface::VirtioScsi => ("scsi-cd", place.scsi(false)),
    };
    let properties_at = at.field("properties");
    builder.check_keys(properties_at, &cdrom.properties);
    props.extend(cdrom.properties.clone());
    builder.device(at, driver, id, props, connector);
}
