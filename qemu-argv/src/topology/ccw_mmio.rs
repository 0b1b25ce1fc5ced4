//! Places that are numbers: those of channel I/O and of memory-mapped virtio.

use std::collections::BTreeMap;

use super::address::Address;
use super::entry::Entry;
use super::error::{TopologyError, keeps_its_place, report};
use super::family::Family;
use super::machine::{Machine, VirtioTransport};
use super::placement::Placement;

/// Gives out the places of channel I/O or of memory-mapped virtio: those asked for, those of before, then in order.
pub(super) fn number<'t>(
    machine: Machine,
    entries: &mut [Entry<'_>],
    transport: VirtioTransport,
    before: &dyn Fn(&str) -> Option<&'t Placement>,
    problems: &mut Vec<TopologyError>,
) {
    let places: u32 = match transport {
        VirtioTransport::Ccw if machine.family == Family::S390Ccw => 0x1_0000,
        VirtioTransport::Mmio => machine.virtio_mmio_buses().into(),
        _ => 0,
    };
    let mut used: BTreeMap<u32, String> = BTreeMap::new();
    let mut take = |id: &str, place: u32| match used.get(&place) {
        _ if place >= places => Err(TopologyError::OutOfRange {
            device: id.to_owned(),
            place: shown(transport, place),
            range: match places {
                0 => format!("machine {} has no such places", machine.name()),
                _ => format!("{} has {places} of them", machine.name()),
            },
        }),
        Some(holder) => Err(TopologyError::Taken {
            device: id.to_owned(),
            place: shown(transport, place),
            holder: holder.clone(),
            help: "omit the address, or choose another one",
        }),
        None => {
            used.insert(place, id.to_owned());
            Ok(at(transport, place))
        }
    };
    let mine = |entry: &&mut Entry<'_>| entry.transport == transport;
    let mut left = Vec::new();
    for entry in entries.iter_mut().filter(mine) {
        match entry.request.address {
            Some(Address::Ccw(place)) => match take(entry.id, place.into()) {
                Ok(placement) => entry.placement = Some(placement),
                Err(problem) => report(problems, problem),
            },
            Some(Address::VirtioMmio(place)) => match take(entry.id, place.into()) {
                Ok(placement) => entry.placement = Some(placement),
                Err(problem) => report(problems, problem),
            },
            _ => left.push(entry),
        }
    }
    let mut fresh = Vec::new();
    for entry in left {
        match before(entry.id).and_then(|placement| place_in(transport, placement)) {
            Some(place) => match take(entry.id, place).map_err(keeps_its_place) {
                Ok(placement) => entry.placement = Some(placement),
                Err(problem) => report(problems, problem),
            },
            None => fresh.push(entry),
        }
    }
    let mut next = 0;
    for entry in fresh {
        while used.contains_key(&next) {
            next += 1;
        }
        if next < places {
            used.insert(next, entry.id.to_string());
            entry.placement = Some(at(transport, next));
            continue;
        }
        report(
            problems,
            TopologyError::Full {
                device: entry.id.to_string(),
                others: 0,
                bus: shown(transport, 0),
                limit: format!("{places} devices"),
                help: "use virtio-scsi for disks, which supports 256, or set pcie = true for the machine",
            },
        );
    }
}

fn at(transport: VirtioTransport, place: u32) -> Placement {
    match transport {
        VirtioTransport::Ccw => Placement::Ccw { devno: u16::try_from(place).unwrap_or(u16::MAX) },
        _ => Placement::VirtioMmio { bus: shown(transport, place).into() },
    }
}

fn shown(transport: VirtioTransport, place: u32) -> String {
    match transport {
        VirtioTransport::Ccw => format!("fe.0.{place:04x}"),
        _ => format!("virtio-mmio-bus.{place}"),
    }
}

fn place_in(transport: VirtioTransport, placement: &Placement) -> Option<u32> {
    match placement {
        Placement::Ccw { devno } if transport == VirtioTransport::Ccw => Some((*devno).into()),
        Placement::VirtioMmio { bus } if transport == VirtioTransport::Mmio => {
            bus.strip_prefix("virtio-mmio-bus.")?.parse().ok()
        }
        _ => None,
    }
}
