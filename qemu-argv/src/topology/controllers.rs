//! Numbered places of controllers: SCSI targets, SATA and USB ports, virtio-serial ports, IDE units.
//!
//! They are filled in order; a controller is added when all are full.

use std::collections::{BTreeMap, BTreeSet};

use smol_str::{SmolStr, ToSmolStr};

use super::error::TopologyError;
use super::machine::Machine;
use super::placement::{Placement, Role, XHCI_PORTS};
use super::port_request::{BOARD_USB, HubKind, Wish};
use super::request::{Connector, Provides};
use crate::name::join;

/// One controller's places.
#[derive(Debug)]
struct Hub {
    /// The controller's id; for the board's own, the prefix of its buses.
    owner: SmolStr,
    /// The first place for everybody; virtio-serial port 0 lies below it.
    first: u32,
    /// The last place.
    last: u32,
    used: BTreeMap<u32, BTreeMap<u16, SmolStr>>,
    /// Everything below is taken.
    cursor: u32,
    /// Whether it is a SCSI controller of another kind than `virtio-scsi`.
    other: bool,
    /// USB ports behind hubs, which have no number of their own.
    nested: BTreeMap<SmolStr, SmolStr>,
}

/// All controllers with places, by kind, in the order they are filled.
#[derive(Debug, Default)]
pub(super) struct Hubs {
    hubs: BTreeMap<HubKind, Vec<Hub>>,
    /// For each kind the hub that devices are put on next: those before it are full.
    next: BTreeMap<HubKind, usize>,
}

const SCSI_TARGETS: u32 = 256;
const AHCI_PORTS: u32 = 6;
const VIRTIO_SERIAL_PORTS: u32 = 31;

impl Hubs {
    pub(super) fn of_board(machine: Machine) -> Self {
        let mut hubs = Self::default();
        if machine.sata_ports() > 0 {
            hubs.add(HubKind::Sata, "ide", 0, u32::from(machine.sata_ports()) - 1);
        }
        if machine.ide_channels() > 0 {
            hubs.add(HubKind::Ide, "ide", 0, u32::from(machine.ide_channels()) * 2 - 1);
        }
        if let Some((first, last)) = machine.usb_ports() {
            hubs.add(HubKind::Usb, BOARD_USB, first.into(), last.into());
        }
        hubs
    }

    fn add(&mut self, kind: HubKind, owner: &str, first: u32, last: u32) {
        self.hubs.entry(kind).or_default().push(Hub {
            owner: owner.into(),
            first,
            last,
            used: BTreeMap::new(),
            cursor: first,
            other: false,
            nested: BTreeMap::new(),
        });
    }

    /// Adds the places that a controller of the configuration brings.
    pub(super) fn add_provided(&mut self, id: &str, provides: Provides) {
        let (kind, first, places) = match provides {
            Provides::Scsi { targets } | Provides::OtherScsi { targets } => (HubKind::Scsi, 0, targets),
            Provides::Pci { .. } => return,
            Provides::Sata { ports } => (HubKind::Sata, 0, ports),
            Provides::Usb { ports } => (HubKind::Usb, 1, ports),
            // Port 0 is for consoles.
            Provides::VirtioSerial { ports } => (HubKind::VirtioSerial, 1, ports.saturating_sub(1)),
        };
        if places > 0 {
            self.add(kind, id, first, first + u32::from(places) - 1);
            if let Some(hub) = self.hubs.get_mut(&kind).and_then(|hubs| hubs.last_mut()) {
                hub.other = matches!(provides, Provides::OtherScsi { .. });
            }
        }
    }

    /// Adds the places of a controller that was created; those of ports and bridges are not kept here.
    pub(super) fn add_created(&mut self, id: &str, role: Role) {
        match role {
            Role::Scsi => self.add(HubKind::Scsi, id, 0, SCSI_TARGETS - 1),
            Role::Sata => self.add(HubKind::Sata, id, 0, AHCI_PORTS - 1),
            Role::Usb => self.add(HubKind::Usb, id, 1, XHCI_PORTS.into()),
            Role::VirtioSerial => self.add(HubKind::VirtioSerial, id, 1, VIRTIO_SERIAL_PORTS - 1),
            _ => {}
        }
    }

    /// Whether a device insists on a place, and so goes before those that do not care.
    pub(super) fn is_pinned(connector: &Connector) -> bool {
        Wish::of(connector).is_some_and(|wish| wish.place.is_some() || wish.nested.is_some())
    }

    /// Takes the place a device had before; `false` when it is not to be had.
    pub(super) fn keep(
        &mut self,
        id: &str,
        connector: &Connector,
        earlier: &Placement,
    ) -> Result<bool, TopologyError> {
        let (Some(wish), Some(before)) = (Wish::of(connector), Wish::from_place(earlier)) else {
            return Ok(false);
        };
        let moved = wish.kind != before.kind
            || wish.owner.is_some() && wish.owner != before.owner
            || wish.place.is_some() && (wish.place, wish.lun) != (before.place, before.lun)
            || wish.nested.is_some() && wish.nested != before.nested;
        if moved || !self.known(&before) {
            return Ok(false);
        }
        let hub = self.find(id, &before)?;
        let kept = hub.map(|hub| hub.take_wish(id, &before));
        kept.transpose().map(|kept| kept.is_some()).map_err(super::error::keeps_its_place)
    }

    /// Takes the place of a device that is there already.
    pub(super) fn occupy(&mut self, id: &str, placement: &Placement) {
        let Some(wish) = Wish::from_place(placement).filter(|wish| self.known(wish)) else { return };
        if let Ok(Some(hub)) = self.find(id, &wish) {
            // Two devices in one place can only come from a file that somebody edited; one of them is enough here.
            let _ = hub.take_wish(id, &wish);
        }
    }

    fn known(&self, wish: &Wish<'_>) -> bool {
        let hubs = self.hubs.get(&wish.kind).into_iter().flatten();
        hubs.into_iter().any(|hub| Some(hub.owner.as_str()) == wish.owner)
    }

    /// Puts a device on the first controller with room; `Err(None)` when another controller is needed.
    pub(super) fn place(
        &mut self,
        id: &str,
        connector: &Connector,
    ) -> Result<Placement, Option<TopologyError>> {
        let Some(wish) = Wish::of(connector) else { return Err(None) };
        if wish.owner.is_some() || wish.place.is_some() || wish.nested.is_some() {
            let Some(hub) = self.find(id, &wish).map_err(Some)? else { return Err(None) };
            return hub.take_wish(id, &wish).map_err(Some);
        }
        let hubs = self.hubs.entry(wish.kind).or_default();
        let next = self.next.entry(wish.kind).or_default();
        if wish.console {
            // Port 0 of any controller is good for nothing else.
            if let Some(hub) = hubs.iter_mut().find(|hub| !hub.used.contains_key(&0)) {
                return hub.take(id, &wish, 0).map_err(Some);
            }
        }
        let first = *next;
        for (index, hub) in hubs.iter_mut().enumerate().skip(first) {
            if hub.other != wish.other {
                continue;
            }
            if let Some(place) = hub.lowest_free() {
                return hub.take(id, &wish, place).map_err(Some);
            }
            if index == *next {
                *next += 1;
            }
        }
        Err(None)
    }

    fn find(&mut self, id: &str, wish: &Wish<'_>) -> Result<Option<&mut Hub>, TopologyError> {
        let hubs = self.hubs.entry(wish.kind).or_default();
        let Some(owner) = wish.owner else {
            return Ok(hubs.iter_mut().find(|hub| hub.other == wish.other));
        };
        let Some(index) = hubs.iter().position(|hub| hub.owner == owner) else {
            let known: Vec<_> = hubs.iter().map(|hub| hub.owner.as_str()).collect();
            let help = if known.is_empty() {
                "omit the controller to create one".to_owned()
            } else {
                format!("there are {}", known.join(", "))
            };
            return Err(TopologyError::UnknownBus { device: id.to_owned(), bus: owner.to_owned(), help });
        };
        Ok(hubs.get_mut(index))
    }

    /// The controllers that have something on them.
    pub(super) fn owners_in_use(&self) -> BTreeSet<&str> {
        let used = self.hubs.values().flatten().filter(|hub| !hub.used.is_empty() || !hub.nested.is_empty());
        used.map(|hub| hub.owner.as_str()).collect()
    }
}

impl Hub {
    fn lowest_free(&mut self) -> Option<u32> {
        while self.cursor <= self.last {
            if !self.used.contains_key(&self.cursor) {
                return Some(self.cursor);
            }
            self.cursor += 1;
        }
        None
    }

    fn take_wish(&mut self, id: &str, wish: &Wish<'_>) -> Result<Placement, TopologyError> {
        if let Some(port) = wish.nested {
            return self.take_nested(id, port);
        }
        let place = match wish.place {
            Some(place) => place,
            None if wish.console && !self.used.contains_key(&0) => 0,
            None => self.lowest_free().ok_or_else(|| TopologyError::Full {
                device: id.to_owned(),
                others: 0,
                bus: self.owner.to_string(),
                limit: format!("{} places", self.last - self.first + 1),
                help: "omit the controller to create another one",
            })?,
        };
        self.take(id, wish, place)
    }

    fn take(&mut self, id: &str, wish: &Wish<'_>, place: u32) -> Result<Placement, TopologyError> {
        let console = wish.kind == HubKind::VirtioSerial && wish.console && place == 0;
        if !(console || (self.first..=self.last).contains(&place)) {
            return Err(TopologyError::OutOfRange {
                device: id.to_owned(),
                place: format!("place {place} of {}", self.owner),
                range: format!("it has {} to {}", self.first, self.last),
            });
        }
        let units = self.used.entry(place).or_default();
        let lun = if wish.kind == HubKind::Scsi { wish.lun } else { 0 };
        if let Some(holder) = units.get(&lun) {
            return Err(TopologyError::Taken {
                device: id.to_owned(),
                place: format!("place {place} of {}", self.owner),
                holder: holder.to_string(),
                help: "omit it, or choose another one",
            });
        }
        units.insert(lun, id.into());
        Ok(self.placement(wish.kind, place, lun))
    }

    fn take_nested(&mut self, id: &str, port: &str) -> Result<Placement, TopologyError> {
        let numbers: Option<Vec<u32>> = port.split('.').map(|number| number.parse().ok()).collect();
        // QEMU's hubs have 8 ports, and USB allows 5 of them in a row.
        let (root, hubs) = match numbers.as_deref() {
            Some([root, hubs @ ..]) if (1..=5).contains(&hubs.len()) => (*root, hubs),
            _ => (0, [0].as_slice()),
        };
        let there = (self.first..=self.last).contains(&root) && hubs.iter().all(|hub| (1..=8).contains(hub));
        if !there {
            return Err(TopologyError::OutOfRange {
                device: id.to_owned(),
                place: format!("port {port} of {}", self.owner),
                range: format!("it has ports {} to {}, and hubs have ports 1 to 8", self.first, self.last),
            });
        }
        if let Some(holder) = self.nested.get(port) {
            return Err(TopologyError::Taken {
                device: id.to_owned(),
                place: format!("port {port} of {}", self.owner),
                holder: holder.to_string(),
                help: "omit the port, or choose another one",
            });
        }
        self.nested.insert(port.into(), id.into());
        Ok(Placement::Usb { bus: join([&self.owner, ".0"]), port: port.into() })
    }

    fn placement(&self, kind: HubKind, place: u32, lun: u16) -> Placement {
        let owner = &self.owner;
        let number = u16::try_from(place).unwrap_or(u16::MAX);
        match kind {
            HubKind::Scsi => Placement::Scsi { bus: join([owner, ".0"]), target: number, lun },
            HubKind::Sata => Placement::Sata { bus: join([owner, ".", itoa::Buffer::new().format(place)]) },
            HubKind::Ide => Placement::Ide {
                bus: join([owner, ".", itoa::Buffer::new().format(place / 2)]),
                unit: u8::try_from(place % 2).unwrap_or_default(),
            },
            HubKind::Usb => Placement::Usb { bus: join([owner, ".0"]), port: place.to_smolstr() },
            HubKind::VirtioSerial => Placement::VirtioSerial { bus: join([owner, ".0"]), nr: number },
        }
    }
}
