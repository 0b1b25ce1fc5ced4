//! The plan: all parts of a machine, with their ids, addresses and file descriptors.

mod bare;
mod bundle;
mod changes;
mod chardev;
mod parts;

use serde::{Deserialize, Serialize};

use crate::endpoints::Endpoints;
use crate::qemu_target::{Accelerator, Arch, Target, Version};
use crate::topology::Topology;

pub use crate::topology;
pub use crate::topology::pci;
pub use bundle::{Bundle, Owner, PartKind, PartRef};
pub use changes::{HotplugPlan, QmpCommand, UnplugPlan};
pub use chardev::CharNode;
pub(crate) use parts::Part;
pub use parts::{
    BlockNode, CliOption, Device, FdRole, FdSlot, Netdev, Object, OptionValue, PlannedSocket, SocketRole,
};

/// A completely planned machine. It is plain data that can be inspected, saved and loaded, and always results in the
/// same command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    pub(crate) name: String,
    /// The QEMU it was made for, as far as hotplugged devices depend on it.
    pub(crate) target: Target,
    pub(crate) endpoints: Endpoints,
    pub(crate) machine: String,
    pub(crate) options: Vec<CliOption>,
    pub(crate) bundles: Vec<Bundle>,
    pub(crate) topology: Topology,
    pub(crate) extra_args: Vec<String>,
}

impl Plan {
    /// Returns the same machine with other devices.
    pub(crate) fn with(&self, bundles: Vec<Bundle>, topology: Topology) -> Self {
        Self {
            name: self.name.clone(),
            target: self.target.clone(),
            endpoints: self.endpoints.clone(),
            machine: self.machine.clone(),
            options: self.options.clone(),
            bundles,
            topology,
            extra_args: self.extra_args.clone(),
        }
    }

    /// Returns the machine's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// Returns the guest's architecture.
    pub fn arch(&self) -> Arch {
        self.target.arch
    }

    /// Returns the version of QEMU it was planned for.
    pub fn version(&self) -> Version {
        self.target.version
    }

    /// Returns the accelerator.
    pub fn accel(&self) -> Accelerator {
        self.target.accel
    }

    /// Returns the machine type, including its version if the target contains it.
    pub fn machine(&self) -> &str {
        &self.machine
    }

    /// Returns all parts, grouped by the config entry that they belong to.
    pub fn bundles(&self) -> &[Bundle] {
        &self.bundles
    }

    /// Returns the sockets that QEMU will listen on.
    pub fn sockets(&self) -> impl Iterator<Item = &PlannedSocket> {
        self.bundles.iter().flat_map(|bundle| &bundle.sockets)
    }

    /// Returns the file descriptors that QEMU must inherit.
    pub fn fds(&self) -> impl Iterator<Item = &FdSlot> {
        self.bundles.iter().flat_map(|bundle| &bundle.fds)
    }

    /// Returns the other command-line options, such as `-machine` and `-m`.
    pub fn options(&self) -> &[CliOption] {
        &self.options
    }

    /// Returns the objects, in creation order.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.bundles.iter().flat_map(|bundle| &bundle.objects)
    }

    /// Returns the character devices.
    pub fn chardevs(&self) -> impl Iterator<Item = &CharNode> {
        self.bundles.iter().flat_map(|bundle| &bundle.chardevs)
    }

    /// Returns the block nodes, lower ones first.
    pub fn block_nodes(&self) -> impl Iterator<Item = &BlockNode> {
        self.bundles.iter().flat_map(|bundle| &bundle.block_nodes)
    }

    /// Returns the network backends.
    pub fn netdevs(&self) -> impl Iterator<Item = &Netdev> {
        self.bundles.iter().flat_map(|bundle| &bundle.netdevs)
    }

    /// Returns the devices, controllers before the devices on them.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.bundles.iter().flat_map(|bundle| &bundle.devices)
    }

    /// Returns the places of all devices, and which places are free.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }
}
