//! What can be added to a machine that runs, and the QMP commands that do it.

use serde::Serialize;

use super::Plan;
use crate::config::{Cdrom, Channel, Disk, HostDevice, Network, OtherDevice, UsbDevice};
use crate::parts::{BlockNode, CharNode, Device, FdSlot, Netdev, Object, PlannedSocket};
use crate::value::Props;

/// A device for a running machine, described as it would be in its configuration.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum NewDevice<'a> {
    /// A disk.
    Disk(&'a Disk),
    /// A CD-ROM drive; only SCSI ones can come while the machine runs.
    Cdrom(&'a Cdrom),
    /// A network interface.
    Network(&'a Network),
    /// A USB device.
    Usb(&'a UsbDevice),
    /// A channel over virtio-serial.
    Channel(&'a Channel),
    /// A PCI device of the host.
    Host(&'a HostDevice),
    /// Any other.
    Other(&'a OtherDevice),
}

macro_rules! from_section {
    ($($variant:ident $section:ident),+) => {
        $(impl<'a> From<&'a $section> for NewDevice<'a> {
            fn from(section: &'a $section) -> Self {
                Self::$variant(section)
            }
        })+
    };
}
from_section!(
    Disk Disk, Cdrom Cdrom, Network Network, Usb UsbDevice, Channel Channel, Host HostDevice, Other OtherDevice
);

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
    pub(super) fn new(name: &'static str, key: &'static str, value: &str) -> Self {
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
pub struct Addition {
    /// The device's id: the one asked for, or one that was free.
    pub id: String,
    /// Descriptors that QEMU must have before the commands: send each with `getfd`, called
    /// [`FdSlot::monitor_name`], over the connection that sends the commands.
    pub fds: Vec<FdSlot>,
    /// The sockets that QEMU will listen to from then on.
    pub sockets: Vec<PlannedSocket>,
    /// Objects, such as a group of limits.
    pub objects: Vec<Object>,
    /// Character devices.
    pub chardevs: Vec<CharNode>,
    /// Nodes of the block graph, lower ones first.
    pub block_nodes: Vec<BlockNode>,
    /// Network backends.
    pub netdevs: Vec<Netdev>,
    /// Controllers that it needs, if any, and then the device. Empty for a backend without a device.
    pub devices: Vec<Device>,
    /// The machine with the device: put it in the old plan's place when QEMU has carried out the commands.
    pub plan: Plan,
}

impl Addition {
    /// What to send, in this order. When one fails, send the [inverse](QmpCommand::inverse) of those before it, the last
    /// one first.
    pub fn commands(&self) -> Vec<QmpCommand> {
        let command = |name, arguments| QmpCommand { name, arguments };
        let objects = self.objects.iter().map(|part| command("object-add", part.arguments()));
        let chardevs = self.chardevs.iter().map(|part| command("chardev-add", part.arguments()));
        let nodes = self.block_nodes.iter().map(|part| command("blockdev-add", part.arguments()));
        let netdevs = self.netdevs.iter().map(|part| command("netdev_add", part.arguments()));
        let devices = self.devices.iter().map(|part| command("device_add", part.arguments()));
        objects.chain(chardevs).chain(nodes).chain(netdevs).chain(devices).collect()
    }
}
