//! CD-ROM drives.

use super::backend::Opening;
use super::block::{Image, image};
use crate::config::{Backing, BlockFormat, Cdrom, CdromInterface, VmConfig};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::topology::{Connector, ScsiRequest};
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
        let part = Image { field: "medium", backend, format, key_secret: None, backing: &Backing::Header };
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
    let (driver, connector) = match interface {
        CdromInterface::Sata => ("ide-cd", Connector::Sata { bus: None }),
        CdromInterface::Ide => ("ide-cd", Connector::Ide { at: None }),
        CdromInterface::Auto | CdromInterface::VirtioScsi => {
            ("scsi-cd", Connector::Scsi(ScsiRequest::default()))
        }
    };
    builder.device(at, driver, id, props, connector);
}
