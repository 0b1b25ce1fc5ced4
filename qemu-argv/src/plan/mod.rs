//! The plan: every part of a machine with its name, its place and its descriptors, decided once and kept.

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

/// A machine, planned to the last detail. It is data: it can be looked at, saved and read back, and says the same
/// command line every time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Plan {
    pub(crate) name: String,
    /// The QEMU it was made for, as far as devices that come later depend on it.
    pub(crate) target: Target,
    pub(crate) endpoints: Endpoints,
    pub(crate) machine: String,
    pub(crate) options: Vec<CliOption>,
    pub(crate) bundles: Vec<Bundle>,
    pub(crate) topology: Topology,
    pub(crate) extra_args: Vec<String>,
}

impl Plan {
    /// The same machine with other devices.
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

    /// The machine's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The guest's architecture.
    pub fn arch(&self) -> Arch {
        self.target.arch
    }

    /// The version of QEMU it was planned for.
    pub fn version(&self) -> Version {
        self.target.version
    }

    /// What executes the guest.
    pub fn accel(&self) -> Accelerator {
        self.target.accel
    }

    /// The machine type, with its version where the target told it.
    pub fn machine(&self) -> &str {
        &self.machine
    }

    /// Everything that the machine is made of, by the entries of the configuration that bring it.
    pub fn bundles(&self) -> &[Bundle] {
        &self.bundles
    }

    /// The sockets that QEMU will listen to.
    pub fn sockets(&self) -> impl Iterator<Item = &PlannedSocket> {
        self.bundles.iter().flat_map(|bundle| &bundle.sockets)
    }

    /// The descriptors that QEMU must inherit.
    pub fn fds(&self) -> impl Iterator<Item = &FdSlot> {
        self.bundles.iter().flat_map(|bundle| &bundle.fds)
    }

    /// Options of the command line that are none of the parts below, such as `-machine` and `-m`.
    pub fn options(&self) -> &[CliOption] {
        &self.options
    }

    /// Objects, in the order they are made.
    pub fn objects(&self) -> impl Iterator<Item = &Object> {
        self.bundles.iter().flat_map(|bundle| &bundle.objects)
    }

    /// Character devices.
    pub fn chardevs(&self) -> impl Iterator<Item = &CharNode> {
        self.bundles.iter().flat_map(|bundle| &bundle.chardevs)
    }

    /// Nodes of the block graph, lower ones first.
    pub fn block_nodes(&self) -> impl Iterator<Item = &BlockNode> {
        self.bundles.iter().flat_map(|bundle| &bundle.block_nodes)
    }

    /// Network backends.
    pub fn netdevs(&self) -> impl Iterator<Item = &Netdev> {
        self.bundles.iter().flat_map(|bundle| &bundle.netdevs)
    }

    /// Devices, controllers before what sits on them.
    pub fn devices(&self) -> impl Iterator<Item = &Device> {
        self.bundles.iter().flat_map(|bundle| &bundle.devices)
    }

    /// Where every device sits, and which places are free.
    pub fn topology(&self) -> &Topology {
        &self.topology
    }
}
