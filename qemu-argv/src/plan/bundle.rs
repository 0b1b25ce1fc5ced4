//! Ownership: the parts of a machine, grouped by the config entry that they belong to.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{BlockNode, CharNode, Device, FdSlot, Netdev, Object, PlannedSocket};

/// All parts that belong to one config entry. They are added and removed together.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bundle {
    /// The config entry.
    pub owner: Owner,
    /// The id of the entry, set or chosen. `None` if it has no id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<SmolStr>,
    /// A hash of the content of an entry whose id was chosen, by which the entry is recognized and keeps its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) print: Option<u64>,
    /// Objects, in creation order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Object>,
    /// Character devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chardevs: Vec<CharNode>,
    /// Block nodes, lower ones first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub block_nodes: Vec<BlockNode>,
    /// Network backends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub netdevs: Vec<Netdev>,
    /// Devices; a device on another one's bus comes after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// The sockets that QEMU listens on for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sockets: Vec<PlannedSocket>,
    /// The file descriptors that QEMU inherits for it. Empty for hotplugged entries, which get theirs over the monitor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fds: Vec<FdSlot>,
    /// The parts of other bundles that it uses.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub uses: Vec<PartRef>,
}

impl Bundle {
    pub(crate) const fn new(owner: Owner, id: Option<SmolStr>, print: Option<u64>) -> Self {
        Self {
            owner,
            id,
            print,
            objects: Vec::new(),
            chardevs: Vec::new(),
            block_nodes: Vec::new(),
            netdevs: Vec::new(),
            devices: Vec::new(),
            sockets: Vec::new(),
            fds: Vec::new(),
            uses: Vec::new(),
        }
    }

    /// Whether it contains this part.
    pub fn has(&self, part: &PartRef) -> bool {
        self.names().any(|(kind, name)| kind == part.kind && *name == part.name)
    }

    /// Returns all names that it uses in QEMU.
    pub(crate) fn names(&self) -> impl Iterator<Item = (PartKind, &SmolStr)> {
        let objects = self.objects.iter().map(|part| (PartKind::Object, &part.id));
        let chardevs = self.chardevs.iter().map(|part| (PartKind::Chardev, &part.id));
        let nodes = self.block_nodes.iter().map(|part| (PartKind::BlockNode, &part.node_name));
        let netdevs = self.netdevs.iter().map(|part| (PartKind::Netdev, &part.id));
        let devices = self.devices.iter().map(|part| (PartKind::Device, &part.id));
        objects.chain(chardevs).chain(nodes).chain(netdevs).chain(devices)
    }

    /// Returns the id by which it is unplugged: that of its device, or of a network backend without a device.
    pub(crate) fn main(&self) -> Option<&SmolStr> {
        let device = self.devices.first().map(|device| &device.id);
        device.or_else(|| self.netdevs.first().map(|netdev| &netdev.id))
    }
}

/// What the parts of a bundle belong to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Owner {
    /// A config section, such as `memory`.
    Section(Cow<'static, str>),
    /// An entry of a section that is a list, such as `disks[0]`.
    Entry {
        /// The section.
        list: Cow<'static, str>,
        /// The entry's position among the current ones; it decreases when others are unplugged.
        index: usize,
    },
    /// A named throttle group, shared by the disks that use it.
    ThrottleGroup(SmolStr),
    /// The plan itself, for controllers that were added to make room. They are kept when they are empty.
    Controllers,
}

/// Formats it as a config path if it is one.
impl fmt::Display for Owner {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Section(name) => formatter.write_str(name),
            Self::Entry { list, index } => write!(formatter, "{list}[{index}]"),
            Self::ThrottleGroup(name) => write!(formatter, "throttle group {name}"),
            Self::Controllers => formatter.write_str("the controllers"),
        }
    }
}

/// The kinds of parts that have names. Each kind has its own namespace in QEMU.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PartKind {
    /// [`Device`].
    Device,
    /// [`Object`].
    Object,
    /// [`BlockNode`].
    BlockNode,
    /// [`Netdev`].
    Netdev,
    /// [`CharNode`].
    Chardev,
}

/// A reference to a part.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PartRef {
    /// Its kind.
    pub kind: PartKind,
    /// Its name.
    pub name: SmolStr,
}
