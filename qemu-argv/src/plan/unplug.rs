//! One device less while the machine runs: whether it can go, and what goes with it.

use std::collections::BTreeSet;

use super::Plan;
use super::addition::QmpCommand;
use super::ids::is_chardev_of;
use super::topology::TopologyError;
use crate::parts::{PlannedSocket, SocketRole};
use crate::value::Props;

/// What it takes to remove a device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Removal {
    /// `device_del`. None for a backend without a device. The device is gone when QEMU says `DEVICE_DELETED`; until
    /// then the guest may refuse.
    pub device: Option<QmpCommand>,
    /// What to send after that, in this order: the device's backends.
    pub backends: Vec<QmpCommand>,
    /// The sockets that nobody listens to any more; their files stay behind.
    pub sockets: Vec<PlannedSocket>,
    /// The machine without the device: put it in the old plan's place when the device is gone.
    pub plan: Plan,
}

/// The parts that a device brought along, top ones first.
#[derive(Default)]
struct Backends<'a> {
    nodes: Vec<&'a str>,
    netdevs: Vec<&'a str>,
    chardevs: Vec<&'a str>,
    objects: Vec<&'a str>,
}

impl Plan {
    /// Plans to remove the device `id`, be it from the configuration or [plugged in](Self::plug) later.
    ///
    /// # Errors
    ///
    /// When there is no such device, when it cannot be unplugged where it is, or when others sit on the bus it brings.
    pub fn unplug(&self, id: &str) -> Result<Removal, TopologyError> {
        let device = self.devices.iter().find(|device| device.id == id);
        let netdev = self.netdevs.iter().find(|netdev| netdev.id == id);
        let mut topology = self.topology.clone();
        match (device, netdev) {
            // One that has no place of ours leaves none behind.
            (Some(_), _) if topology.place_of(id).is_none() => {}
            (None, Some(_)) => {}
            _ => drop(topology.unplug(id)?),
        }

        let mut backends = Backends::default();
        if let Some(device) = device {
            self.collect(id, &device.props, &mut backends);
        } else if let Some(netdev) = netdev {
            backends.netdevs.push(id);
            self.collect(id, &netdev.props, &mut backends);
        }
        self.keep_shared(id, &mut backends);

        let Backends { nodes, netdevs, chardevs, objects } = &backends;
        let del = |name, key, ids: &[&str]| -> Vec<QmpCommand> {
            ids.iter().map(|id| QmpCommand::new(name, key, id)).collect()
        };
        let commands = [
            del("netdev_del", "id", netdevs),
            del("blockdev-del", "node-name", nodes),
            del("chardev-remove", "id", chardevs),
            del("object-del", "id", objects),
        ];
        let (gone, sockets) = self.sockets.iter().cloned().partition(|socket| {
            let ending = format!(".{id}.sock");
            matches!(socket.role, SocketRole::Port(_)) && socket.path.to_string_lossy().ends_with(&ending)
        });
        let mut plan = Self { topology, sockets, ..self.clone() };
        plan.devices.retain(|device| device.id != id);
        plan.block_nodes.retain(|node| !nodes.contains(&node.node_name.as_str()));
        plan.netdevs.retain(|netdev| !netdevs.contains(&netdev.id.as_str()));
        plan.chardevs.retain(|node| !chardevs.contains(&node.id.as_str()));
        plan.objects.retain(|object| !objects.contains(&object.id.as_str()));
        plan.own_ids.retain(|own| own.id != id);
        Ok(Removal {
            device: device.map(|_| QmpCommand::new("device_del", "id", id)),
            backends: commands.concat(),
            sockets: gone,
            plan,
        })
    }

    /// Adds what `props` refer to, and what that refers to. A part that the configuration has under a name of its own
    /// stays, as others may come that use it.
    fn collect<'a>(&'a self, id: &str, props: &'a Props, backends: &mut Backends<'a>) {
        for (key, value) in references(props) {
            let list = match key {
                "netdev" => &mut backends.netdevs,
                "chardev" if is_chardev_of(value, id) => &mut backends.chardevs,
                "throttle-group" if value == format!("{id}-throttle") => &mut backends.objects,
                "drive" | "file" | "backing" | "data-file" => &mut backends.nodes,
                _ => continue,
            };
            let below = match key {
                "netdev" => self.netdevs.iter().find(|part| part.id == value).map(|part| &part.props),
                "chardev" => self.chardevs.iter().find(|part| part.id == value).map(|part| &part.props),
                "throttle-group" => self.objects.iter().find(|part| part.id == value).map(|part| &part.props),
                _ => self.block_nodes.iter().find(|part| part.node_name == value).map(|part| &part.props),
            };
            let Some(below) = below.filter(|_| !list.contains(&value)) else { continue };
            list.push(value);
            self.collect(id, below, backends);
        }
    }

    /// Leaves the nodes and network backends that something else uses as well.
    fn keep_shared(&self, id: &str, backends: &mut Backends<'_>) {
        let devices = self.devices.iter().filter(|device| device.id != id).map(|device| &device.props);
        let nodes = self.block_nodes.iter().filter(|node| !backends.nodes.contains(&node.node_name.as_str()));
        let netdevs = self.netdevs.iter().filter(|netdev| !backends.netdevs.contains(&netdev.id.as_str()));
        let mut kept = Backends::default();
        let others = devices.chain(nodes.map(|node| &node.props)).chain(netdevs.map(|netdev| &netdev.props));
        for props in others {
            self.collect("", props, &mut kept);
        }
        let shared: BTreeSet<&str> = kept.nodes.into_iter().chain(kept.netdevs).collect();
        backends.nodes.retain(|node| !shared.contains(node));
        backends.netdevs.retain(|netdev| !shared.contains(netdev));
    }
}

/// The properties that name another part.
fn references(props: &Props) -> impl Iterator<Item = (&str, &str)> {
    const KEYS: [&str; 7] = ["netdev", "chardev", "throttle-group", "drive", "file", "backing", "data-file"];
    KEYS.into_iter().filter_map(|key| Some((key, props.get_str(key)?)))
}
