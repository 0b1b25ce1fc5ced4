//! Where a device is: taken from it, as far as a config can say it or plans it anew.

use super::bag::{Bag, Why};
use super::line::{Bus, Line};
use crate::topology::Address;
use crate::topology::pci::{PciAddress, PciBus};
use crate::value::Value;

/// Takes the place of a device out of its options: an address that a config can say, or `None` where it plans one.
pub(super) fn take(line: &Line, bag: &mut Bag) -> Result<Option<Address>, Why> {
    let bus = bag.text("bus")?;
    let address = bag.take("addr");
    let number = bag.text("devno")?;
    bag.take("multifunction");
    if let Some(number) = number {
        return number.parse().map(Some).map_err(|_| "a config has no such `devno`".to_owned());
    }
    let Some(bus) = bus else {
        return address.map(|address| pci(root(line), &address)).transpose();
    };
    if bus.starts_with("virtio-mmio-bus.") {
        return bus.parse().map(Some).map_err(|_| "a config has no such slot".to_owned());
    }
    let known = known_bus(line, &bus);
    if let Some(Bus::Own(is_port)) = known.filter(|_| !line.planned) {
        // A port has one slot; of a bridge's, QEMU would choose one.
        let first = Value::from("0x0");
        let address = address.or_else(|| is_port.then_some(first));
        let address = address.ok_or_else(|| format!("a config wants to know the slot of {bus}"))?;
        return pci(&bus, &address).map(Some);
    }
    match address {
        // The port is the place.
        Some(_) if known == Some(Bus::PciPort) && !line.planned => Ok(None),
        Some(address) if is_root(&bus) || line.planned => pci(&bus, &address).map(Some),
        None if known.is_some() || is_root(&bus) || line.planned || is_board_bus(&bus) => Ok(None),
        _ => Err(format!("a config does not know the bus {bus}")),
    }
}

/// The place of a device; `many` says that numbers on its bus are planned anew.
pub(super) fn placed(line: &Line, bag: &mut Bag, many: bool) -> Result<Option<Address>, Why> {
    let place = take(line, bag)?;
    if many {
        for key in ["nr", "port", "channel", "scsi-id", "lun", "unit"] {
            bag.take(key);
        }
        return Ok(None);
    }
    Ok(place)
}

/// A bus of the command line that a config brings along.
pub(super) fn known_bus(line: &Line, bus: &str) -> Option<Bus> {
    let controller = bus.rsplit_once('.').map_or(bus, |(controller, _)| controller);
    line.buses.get(bus).or_else(|| line.buses.get(controller)).copied()
}

pub(super) fn is_root(bus: &str) -> bool {
    matches!(bus, "pcie.0" | "pci.0" | "pci" | "pcie")
}

/// Buses that boards have for drives and USB.
pub(super) fn is_board_bus(bus: &str) -> bool {
    bus.starts_with("ide.") || bus.starts_with("usb-bus.")
}

/// The slot of a bus that is known by its name alone.
pub(super) fn on(bus: &str, bag: &mut Bag) -> Result<Option<Address>, Why> {
    bag.take("multifunction");
    let address = bag.take("addr");
    let address = address.map(|address| pci(bus, &address)).transpose()?;
    Ok(address.map(|address| match address {
        Address::Pci(place) => PciAddress::new(PciBus::Named(bus.to_owned()), place.slot(), place.function())
            .map_or(Address::Pci(place), Address::Pci),
        other => other,
    }))
}

fn root(line: &Line) -> &'static str {
    if line.is_pc() { "pci.0" } else { "pcie.0" }
}

/// QEMU's `addr`: slot and function in hexadecimal, or a number that has both.
fn pci(bus: &str, address: &Value) -> Result<Address, Why> {
    let wrong = || "a config has no such `addr`".to_owned();
    let number =
        |text: &str| u8::from_str_radix(text.strip_prefix("0x").unwrap_or(text), 16).map_err(|_| wrong());
    let (slot, function) = match address {
        Value::Str(text) => match text.split_once('.') {
            Some((slot, function)) => (number(slot)?, number(function)?),
            None => (number(text)?, 0),
        },
        Value::Uint(packed) => (u8::try_from(packed >> 3).map_err(|_| wrong())?, (packed & 7) as u8),
        _ => return Err(wrong()),
    };
    let bus =
        if is_root(bus) { PciBus::Numbered { domain: 0, bus: 0 } } else { PciBus::Named(bus.to_owned()) };
    PciAddress::new(bus, slot, function).map(Address::Pci).map_err(|_| wrong())
}
