//! Hotplug: the parts and QMP commands that add a device to a running machine or remove it.

use serde::Serialize;

use super::{Bundle, Device, FdSlot, Plan, PlannedSocket};
use crate::value::Props;

/// A QMP command.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct QmpCommand {
    /// Its name.
    pub name: &'static str,
    /// Its arguments.
    pub arguments: Props,
}

impl QmpCommand {
    pub(crate) fn new(name: &'static str, key: &'static str, value: &str) -> Self {
        Self { name, arguments: Props::new().with(key, value.to_owned()) }
    }

    /// Returns the command that removes what this one added.
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

/// What is needed to add a device to a running machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct HotplugPlan {
    /// The device's id, set or chosen.
    pub id: String,
    /// File descriptors that QEMU needs before the commands. Send each with `getfd` as [`FdSlot::monitor_name`], over
    /// the same connection as the commands.
    pub fds: Vec<FdSlot>,
    /// Controllers that it needs, if any.
    pub controllers: Vec<Device>,
    /// Its parts, and a throttle group if it is the first disk in it.
    pub bundles: Vec<Bundle>,
    /// The plan with the device, which replaces the old plan after QEMU has executed the commands.
    pub plan: Plan,
}

impl HotplugPlan {
    /// Returns the commands, in this order. If one fails, send the [inverse](QmpCommand::inverse) of the previous ones,
    /// in reverse order.
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

    /// Returns the controllers that it needs, if any, and then the device. Empty for a backend without a device.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.controllers.iter().chain(self.bundles.iter().flat_map(|bundle| &bundle.devices))
    }

    /// Returns the sockets that QEMU will listen on for it.
    pub fn sockets(&self) -> impl Iterator<Item = &PlannedSocket> {
        self.bundles.iter().flat_map(|bundle| &bundle.sockets)
    }
}

/// What is needed to remove a device from a running machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct UnplugPlan {
    /// `device_del`. `None` for a backend without a device. The device is removed when QEMU sends `DEVICE_DELETED`;
    /// until then the guest may refuse.
    pub device: Option<QmpCommand>,
    /// The commands to send after that, in this order, which remove the device's backends.
    pub backends: Vec<QmpCommand>,
    /// The sockets that are no longer used; their files have to be removed.
    pub sockets: Vec<PlannedSocket>,
    /// The plan without the device, which replaces the old plan after the device was removed.
    pub plan: Plan,
}
