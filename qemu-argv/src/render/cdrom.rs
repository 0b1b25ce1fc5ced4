//! CD-ROM drives.

use super::block::{Image, Opening, image};
use crate::config::{Backing, BlockFormat, CdromInterface};
use crate::draft::Draft;
use crate::error::At;
use crate::plan::topology::{Connector, ScsiRequest};
use crate::value::Props;

pub(super) fn cdroms(draft: &mut Draft<'_>) {
    let config = draft.config;
    let ids = draft.ids("cdroms", "cdrom", &config.cdroms, |cdrom| cdrom.id.as_deref());
    for (index, (cdrom, id)) in config.cdroms.iter().zip(ids).enumerate() {
        let at = At::ROOT.item("cdroms", index);
        let mut props = Props::new();
        if let Some(backend) = &cdrom.medium {
            let format = Some(cdrom.format.unwrap_or(BlockFormat::Raw));
            let part =
                Image { field: "medium", backend, format, key_secret: None, backing: &Backing::Header };
            let opening = Opening { read_only: true, cache: None, aio: None, discard: false };
            image(draft, at, &id, part, opening, Props::new());
            props.set("drive", id.clone());
        } else if cdrom.format.is_some() {
            draft.conflict(at.field("format"), "without a medium there is nothing of a format");
        }
        if let Some(place) = cdrom.boot_index {
            draft.boot_index(at, place);
            props.set("bootindex", place);
        }
        let machine = draft.board.machine;
        let interface = match cdrom.interface {
            // The other buses do not take a drive while the machine runs.
            CdromInterface::Auto if draft.running => CdromInterface::VirtioScsi,
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
        draft.device(at, driver, &id, props, connector);
    }
}
