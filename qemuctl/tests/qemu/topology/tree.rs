//! Reads the output of `info qtree`, and compares it with a plan.

use std::collections::BTreeMap;

use qemu_argv::Props;
use qemu_argv::plan::topology::{Placement, Topology};

/// Buses, and the devices that have an id.
#[derive(Debug, Default)]
pub struct Tree {
    pub buses: Vec<String>,
    pub devices: BTreeMap<String, Device>,
}

/// A device: the bus it is on, and its properties as QEMU prints them.
#[derive(Debug, Default)]
pub struct Device {
    bus: String,
    properties: BTreeMap<String, String>,
}

impl Tree {
    /// Indentation says what is on what: `bus: NAME`, below it `dev: DRIVER, id "ID"`, below that `property = value`.
    pub fn parse(text: &str) -> Self {
        let mut tree = Self::default();
        // The buses and devices that the current line is below.
        let mut above: Vec<(usize, Result<String, String>)> = Vec::new();
        for line in text.lines() {
            let depth = line.len() - line.trim_start().len();
            let line = line.trim();
            while above.last().is_some_and(|(last, _)| *last >= depth) {
                above.pop();
            }
            if let Some(bus) = line.strip_prefix("bus: ") {
                tree.buses.push(bus.to_owned());
                above.push((depth, Ok(bus.to_owned())));
            } else if let Some(device) = line.strip_prefix("dev: ") {
                let id = device.split_once(", id \"").map_or("", |(_, id)| id.trim_end_matches('"'));
                let bus = above.iter().rev().find_map(|(_, entry)| entry.as_ref().ok());
                if !id.is_empty() {
                    let bus = bus.cloned().unwrap_or_default();
                    tree.devices.insert(id.to_owned(), Device { bus, ..Device::default() });
                }
                above.push((depth, Err(id.to_owned())));
            } else if let (Some((name, value)), Some((_, Err(id)))) = (line.split_once(" = "), above.last())
                && let Some(device) = tree.devices.get_mut(id)
            {
                device.properties.insert(name.to_owned(), value.to_owned());
            }
        }
        tree
    }

    /// The places of all devices that have an id, one line each, as [`planned`] writes them.
    pub fn places(&self, topology: &Topology) -> Vec<String> {
        all(topology).map(|(id, placement)| self.place(id, placement)).collect()
    }

    fn place(&self, id: &str, placement: &Placement) -> String {
        let Some(device) = self.devices.get(id) else { return format!("{id} is not there") };
        let shown = |name: &str| {
            let value = device.properties.get(name).map_or("nothing", String::as_str);
            // Numbers are printed as `3 (0x3)`, texts in quotes.
            value.split(" (").next().unwrap_or_default().trim_matches('"').to_owned()
        };
        let place = match placement {
            Placement::Pci { .. } => shown("addr"),
            Placement::Ccw { .. } => return format!("{id} on {}", shown("devno")),
            Placement::Scsi { .. } => format!("{}:{}", shown("scsi-id"), shown("lun")),
            Placement::Ide { .. } => shown("unit"),
            Placement::Usb { .. } => shown("port"),
            Placement::VirtioSerial { .. } => shown("nr"),
            _ => String::new(),
        };
        format!("{id} on {} {place}", device.bus).trim_end().to_owned()
    }
}

/// The places of all controllers and devices as the plan has them, one line each.
pub fn planned(topology: &Topology) -> Vec<String> {
    all(topology)
        .map(|(id, placement)| {
            let bus = placement.bus().unwrap_or_default();
            let place = match placement {
                Placement::Pci { slot, function, .. } => format!("{slot:02x}.{function:x}"),
                Placement::Ccw { devno } => return format!("{id} on fe.0.{devno:04x}"),
                Placement::Scsi { target, lun, .. } => format!("{target}:{lun}"),
                Placement::Ide { unit, .. } => unit.to_string(),
                Placement::Usb { port, .. } => port.to_string(),
                Placement::VirtioSerial { nr, .. } => nr.to_string(),
                _ => String::new(),
            };
            format!("{id} on {bus} {place}").trim_end().to_owned()
        })
        .collect()
}

fn all(topology: &Topology) -> impl Iterator<Item = (&str, &Placement)> {
    let controllers = topology.controllers().iter().map(|each| (each.id.as_str(), &each.placement));
    controllers.chain(topology.placements())
}

/// What a `-device` or `device_add` takes, as JSON.
pub fn device(driver: &str, id: &str, properties: &Props) -> serde_json::Value {
    let mut device = serde_json::Map::new();
    device.insert("driver".into(), driver.into());
    device.insert("id".into(), id.into());
    for (name, value) in properties.iter() {
        device.insert(name.into(), serde_json::to_value(value).expect("a value is JSON"));
    }
    device.into()
}
