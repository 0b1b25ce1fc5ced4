//! What devices ask of the controllers they hang off, in numbers.

use super::error::TopologyError;
use super::machine::Machine;
use super::placement::{Placement, Role};
use super::request::Connector;

/// The kinds of places behind a controller.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum HubKind {
    Scsi,
    Sata,
    Ide,
    Usb,
    VirtioSerial,
}

/// What a device asks of a hub: kind, controller, place, logical unit, and a place behind a USB hub.
pub(super) struct Wish<'a> {
    pub(super) kind: HubKind,
    pub(super) owner: Option<&'a str>,
    pub(super) place: Option<u32>,
    pub(super) lun: u16,
    pub(super) nested: Option<&'a str>,
    pub(super) console: bool,
    /// Whether the SCSI controller is of another kind than `virtio-scsi`.
    pub(super) other: bool,
}

pub(super) const BOARD_USB: &str = "usb-bus";

impl<'a> Wish<'a> {
    /// What `connector` asks of hubs; `None` when it asks for something else.
    pub(super) fn of(connector: &'a Connector) -> Option<Self> {
        let wish = |kind| Wish {
            kind,
            owner: None,
            place: None,
            lun: 0,
            nested: None,
            console: false,
            other: false,
        };
        Some(match connector {
            Connector::Scsi(scsi) => Wish {
                owner: scsi.controller.as_deref(),
                place: scsi.target.map(u32::from),
                lun: scsi.lun,
                other: scsi.other,
                ..wish(HubKind::Scsi)
            },
            Connector::Sata { bus: None } => wish(HubKind::Sata),
            Connector::Sata { bus: Some(bus) } => {
                let named = bus.rsplit_once('.').and_then(|(owner, port)| Some((owner, port.parse().ok()?)));
                // Without a port, it is the controller alone.
                let (owner, place) = named.map_or((bus.as_str(), None), |(owner, port)| (owner, Some(port)));
                Wish { owner: Some(owner), place, ..wish(HubKind::Sata) }
            }
            Connector::Ide { at } => Wish {
                place: at.map(|at| u32::from(at.channel) * 2 + u32::from(at.unit.min(2))),
                ..wish(HubKind::Ide)
            },
            Connector::Usb(usb) => {
                let port = usb.port.as_deref();
                let place = port.and_then(|port| port.parse().ok());
                let nested = port.filter(|_| place.is_none());
                Wish { owner: usb.controller.as_deref(), place, nested, ..wish(HubKind::Usb) }
            }
            Connector::VirtioSerial(port) => Wish {
                owner: port.controller.as_deref(),
                place: port.nr.map(u32::from),
                console: port.console,
                ..wish(HubKind::VirtioSerial)
            },
            Connector::Pci(_) | Connector::Virtio(_) | Connector::Bus(_) => return None,
        })
    }

    /// The wish for exactly the place that something has.
    pub(super) fn from_place(placement: &'a Placement) -> Option<Self> {
        let (owner, last) = placement.bus()?.rsplit_once('.')?;
        let last: Option<u32> = last.parse().ok();
        let wish = |kind, place| Wish {
            kind,
            owner: Some(owner),
            place,
            lun: 0,
            nested: None,
            console: true,
            other: false,
        };
        Some(match placement {
            Placement::Scsi { target, lun, .. } => {
                Wish { lun: *lun, ..wish(HubKind::Scsi, Some((*target).into())) }
            }
            Placement::Sata { .. } => wish(HubKind::Sata, Some(last?)),
            Placement::Ide { unit, .. } => wish(HubKind::Ide, Some(last? * 2 + u32::from(*unit))),
            Placement::Usb { port, .. } => match port.parse() {
                Ok(place) => wish(HubKind::Usb, Some(place)),
                Err(_) => Wish { nested: Some(port), ..wish(HubKind::Usb, None) },
            },
            Placement::VirtioSerial { nr, .. } => wish(HubKind::VirtioSerial, Some((*nr).into())),
            Placement::Pci { .. }
            | Placement::Ccw { .. }
            | Placement::VirtioMmio { .. }
            | Placement::Bus { .. }
            | Placement::Unplaced => return None,
        })
    }
}

/// The kind of controller that makes room for `connector`, or why there is none.
pub(super) fn controller_for(
    id: &str,
    connector: &Connector,
    machine: Machine,
) -> Result<Role, TopologyError> {
    match connector {
        Connector::Scsi(scsi) if scsi.other => Err(TopologyError::NoBus {
            device: id.to_owned(),
            wanted: "a SCSI controller with room",
            machine: machine.name(),
            help: "add one to `devices`, such as lsi53c895a, or use virtio-scsi",
        }),
        Connector::Scsi(_) => Ok(Role::Scsi),
        Connector::Sata { .. } => Ok(Role::Sata),
        Connector::Usb(_) => Ok(Role::Usb),
        Connector::VirtioSerial(_) => Ok(Role::VirtioSerial),
        Connector::Ide { .. } if machine.ide_channels() > 0 => Err(TopologyError::Full {
            device: id.to_owned(),
            others: 0,
            bus: "IDE".to_owned(),
            limit: "two channels with two devices each".to_owned(),
            help: "use virtio, SATA or SCSI for the others",
        }),
        Connector::Ide { .. } | Connector::Pci(_) | Connector::Virtio(_) | Connector::Bus(_) => {
            Err(TopologyError::NoBus {
                device: id.to_owned(),
                wanted: "an IDE channel",
                machine: machine.name(),
                help: "use SATA or virtio",
            })
        }
    }
}
