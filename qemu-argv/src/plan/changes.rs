//! What a device takes that comes to a machine that runs, or leaves it, and the QMP commands that do it.

use serde::Serialize;

use super::{Bundle, Device, FdSlot, Plan, PlannedSocket};
use crate::value::Props;

/// A QMP command by its name.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QmpCommand {
    /// QEMU's name of it.
    pub name: &'static str,
    /// Its arguments.
    pub arguments: Props,
}

impl QmpCommand {
    pub(crate) fn new(name: &'static str, key: &'static str, value: &str) -> Self {
        Self { name, arguments: Props::new().with(key, value.to_owned()) }
    }

    /// The command that takes back what this one added.
    pub fn inverse(&self) -> Option<Self> {
        let (name, key) = match self.name {
            "object-add" => ("object-del", "id"),
            "chardev-add" => ("chardev-remove", "id"),
            "blockdev-add" => ("blockdev-del", "node-name"),
            "netdev_add" => ("netdev_del", "id"),
            "device_add" => ("device_del", "id"),
            _ => return None,
        };
        Some(Self::new(name, key, self.arguments.get_str(key)?))
    }
}

/// What one more device takes.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HotplugPlan {
    /// The device's id: the one asked for, or one that was free.
    pub id: String,
    /// Descriptors that QEMU must have before the commands: send each with `getfd`, called
    /// [`FdSlot::monitor_name`], over the connection that sends the commands.
    pub fds: Vec<FdSlot>,
    /// Controllers that it needs, if any.
    pub controllers: Vec<Device>,
    /// What it brings, and a throttle group if it is the first disk in it.
    pub bundles: Vec<Bundle>,
    /// The machine with the device: put it in the old plan's place when QEMU has carried out the commands.
    pub plan: Plan,
}

impl HotplugPlan {
    /// What to send, in this order. When one fails, send the [inverse](QmpCommand::inverse) of those before it, the last
    /// one first.
    pub fn commands(&self) -> Vec<QmpCommand> {
        let command = |name, arguments| QmpCommand { name, arguments };
        let bundles = || self.bundles.iter();
        let objects = bundles().flat_map(|bundle| &bundle.objects);
        let chardevs = bundles().flat_map(|bundle| &bundle.chardevs);
        let nodes = bundles().flat_map(|bundle| &bundle.block_nodes);
        let netdevs = bundles().flat_map(|bundle| &bundle.netdevs);
        let objects = objects.map(|part| command("object-add", part.arguments()));
        let chardevs = chardevs.map(|part| command("chardev-add", part.arguments()));
        let nodes = nodes.map(|part| command("blockdev-add", part.arguments()));
        let netdevs = netdevs.map(|part| command("netdev_add", part.arguments()));
        let devices = self.devices().map(|part| command("device_add", part.arguments()));
        objects.chain(chardevs).chain(nodes).chain(netdevs).chain(devices).collect()
    }

    /// Controllers that it needs, if any, and then the device. Empty for a backend without a device.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.controllers.iter().chain(self.bundles.iter().flat_map(|bundle| &bundle.devices))
    }

    /// The sockets that QEMU will listen to from then on.
    pub fn sockets(&self) -> impl Iterator<Item = &PlannedSocket> {
        self.bundles.iter().flat_map(|bundle| &bundle.sockets)
    }
}

/// What it takes to remove a device.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnplugPlan {
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
