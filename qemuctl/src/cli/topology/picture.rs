//! The tree of buses and devices, independent of the output format.

use std::collections::{BTreeMap, BTreeSet};

use qemu_argv::Plan;
use qemu_argv::plan::topology::{Placement, Role};

/// The whole tree.
#[derive(Debug)]
pub(super) struct Picture {
    pub(super) root: Node,
}

/// A bus, a port or a device, with its children.
#[derive(Debug)]
pub(super) struct Node {
    /// Its address on the parent.
    pub(super) place: String,
    pub(super) name: String,
    /// QEMU's driver, or the purpose of the node.
    pub(super) what: String,
    pub(super) kind: Kind,
    pub(super) children: Vec<Node>,
}

/// The kind of a node, which determines its colour.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Kind {
    Bus,
    /// Built into the board.
    Board,
    Port,
    FreePort,
    Controller,
    Disk,
    Network,
    Other,
}

/// A device or controller that is not in the tree yet.
struct Item<'a> {
    id: &'a str,
    driver: &'a str,
    placement: &'a Placement,
    port: bool,
}

impl Picture {
    pub(super) fn of(plan: &Plan) -> Self {
        let topology = plan.topology();
        let drivers: BTreeMap<&str, &str> =
            plan.devices().map(|device| (device.id.as_str(), device.driver.as_ref())).collect();
        let controllers = topology.controllers().iter().map(|controller| Item {
            id: &controller.id,
            driver: controller.driver(),
            placement: &controller.placement,
            port: matches!(controller.role, Role::RootPort { .. } | Role::Downstream { .. }),
        });
        let devices = topology.placements().map(|(id, placement)| Item {
            id,
            driver: drivers.get(id).copied().unwrap_or_default(),
            placement,
            port: false,
        });
        let items: Vec<Item<'_>> = controllers.chain(devices).collect();
        let ids: BTreeSet<&str> = items.iter().map(|item| item.id).collect();

        // By the id of what it is on, or the name of the board's bus.
        let mut on: BTreeMap<&str, Vec<&Item<'_>>> = BTreeMap::new();
        for item in &items {
            on.entry(parent(item.placement, &ids)).or_default().push(item);
        }
        let free: BTreeSet<&str> = topology.free_ports().into_iter().collect();
        let mut children = Vec::new();
        if let Some(pci) = topology.machine().pci() {
            let board = pci.taken.iter().map(|&(slot, function, what)| {
                let node = Node {
                    place: pci_place(slot, function),
                    name: what.into(),
                    what: String::new(),
                    kind: Kind::Board,
                    children: Vec::new(),
                };
                ((u32::from(slot) << 3) + u32::from(function), node)
            });
            let own = on.remove(pci.bus).unwrap_or_default();
            let own = own.into_iter().map(|item| (order(item.placement), node(item, &on, &free)));
            let mut all: Vec<(u32, Node)> = board.chain(own).collect();
            all.sort_by_key(|(order, _)| *order);
            let nodes = all.into_iter().map(|(_, node)| node).collect();
            let what = if pci.express { "PCI Express" } else { "PCI" };
            children.push(bus(pci.bus, what, nodes));
        }
        for (name, items) in &on {
            if !ids.contains(name) {
                let what = match *name {
                    "ide" => "the board's own disks",
                    "usb-bus" => "the board's own USB",
                    "virtio-mmio-bus" => "memory-mapped virtio",
                    "css" => "channel I/O",
                    _ => "where QEMU puts them",
                };
                children.push(bus(name, what, nodes(items, &on, &free)));
            }
        }
        let count = topology.placements().count();
        let what =
            format!("{} with {count} {}", plan.machine(), if count == 1 { "device" } else { "devices" });
        Self { root: bus(plan.name(), &what, children) }
    }
}

fn bus(name: &str, what: &str, children: Vec<Node>) -> Node {
    Node { place: String::new(), name: name.to_owned(), what: what.to_owned(), kind: Kind::Bus, children }
}

/// Returns the id of its controller, or the board's bus without its number.
fn parent<'a>(placement: &'a Placement, ids: &BTreeSet<&str>) -> &'a str {
    let Some(bus) = placement.bus() else {
        return if matches!(placement, Placement::Ccw { .. }) { "css" } else { "QEMU" };
    };
    match placement {
        Placement::Pci { .. } => bus,
        _ if ids.contains(bus) => bus,
        _ => bus.rsplit_once('.').map_or(bus, |(owner, _)| owner),
    }
}

fn nodes(items: &[&Item<'_>], on: &BTreeMap<&str, Vec<&Item<'_>>>, free: &BTreeSet<&str>) -> Vec<Node> {
    let mut items = items.to_vec();
    items.sort_by_key(|item| order(item.placement));
    items.into_iter().map(|item| node(item, on, free)).collect()
}

fn node(item: &Item<'_>, on: &BTreeMap<&str, Vec<&Item<'_>>>, free: &BTreeSet<&str>) -> Node {
    let children = on.get(item.id).map(|items| nodes(items, on, free)).unwrap_or_default();
    let kind = match item.driver {
        _ if free.contains(item.id) => Kind::FreePort,
        _ if item.port => Kind::Port,
        driver
            if ["virtio-blk", "nvme", "scsi-", "ide-", "usb-storage"]
                .iter()
                .any(|disk| driver.starts_with(disk)) =>
        {
            Kind::Disk
        }
        driver
            if ["virtio-net", "e1000", "igb", "rtl8139", "vmxnet3", "usb-net"]
                .iter()
                .any(|nic| driver.starts_with(nic)) =>
        {
            Kind::Network
        }
        _ if !children.is_empty() => Kind::Controller,
        _ => Kind::Other,
    };
    let what = if kind == Kind::FreePort { "free for hotplug" } else { item.driver };
    Node { place: place(item.placement), name: item.id.to_owned(), what: what.to_owned(), kind, children }
}

fn pci_place(slot: u8, function: u8) -> String {
    format!("{slot:02x}.{function:x}")
}

fn place(placement: &Placement) -> String {
    match placement {
        Placement::Pci { slot, function, .. } => pci_place(*slot, *function),
        Placement::Ccw { devno } => format!("fe.0.{devno:04x}"),
        Placement::Scsi { target, lun, .. } => format!("{target}:{lun}"),
        Placement::Ide { bus, unit } => format!("{bus} unit {unit}"),
        Placement::Sata { bus } | Placement::VirtioMmio { bus } => bus.to_string(),
        Placement::Usb { port, .. } => format!("port {port}"),
        Placement::VirtioSerial { nr, .. } => format!("port {nr}"),
        _ => String::new(),
    }
}

/// Returns the sort key among siblings.
fn order(placement: &Placement) -> u32 {
    let last = |bus: &str| bus.rsplit('.').next().and_then(|number| number.parse().ok()).unwrap_or(0);
    match placement {
        Placement::Pci { slot, function, .. } => (u32::from(*slot) << 3) + u32::from(*function),
        Placement::Ccw { devno } => (*devno).into(),
        Placement::Scsi { target, lun, .. } => (u32::from(*target) << 16) + u32::from(*lun),
        Placement::Ide { bus, unit } => last(bus) * 2 + u32::from(*unit),
        Placement::Sata { bus } | Placement::VirtioMmio { bus } => last(bus),
        Placement::Usb { port, .. } => {
            port.split('.').next().and_then(|number| number.parse().ok()).unwrap_or(0)
        }
        Placement::VirtioSerial { nr, .. } => (*nr).into(),
        _ => 0,
    }
}
