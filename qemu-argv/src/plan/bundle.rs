//! Who brought what: the parts of a machine, put together by the entry of the configuration that they come from.

use std::borrow::Cow;
use std::fmt;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use super::{BlockNode, CharNode, Device, FdSlot, Netdev, Object, PlannedSocket};

/// Everything that one entry of the configuration brings. It comes as a whole and goes as a whole.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Bundle {
    /// Where it comes from.
    pub owner: Owner,
    /// The id of the entry: the one it was given, or one that was free. `None` for what has no id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub id: Option<SmolStr>,
    /// The content of an entry whose id was chosen, hashed: by it the entry is known again, and keeps its id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub(crate) print: Option<u64>,
    /// Objects, in the order they are made.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub objects: Vec<Object>,
    /// Character devices.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub chardevs: Vec<CharNode>,
    /// Nodes of the block graph, lower ones first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub block_nodes: Vec<BlockNode>,
    /// Network backends.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub netdevs: Vec<Netdev>,
    /// Devices; what sits on a bus of another comes after it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub devices: Vec<Device>,
    /// The sockets that QEMU listens to for it.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sockets: Vec<PlannedSocket>,
    /// The descriptors that QEMU inherits for it. Empty for what was plugged in: it got them over its monitor.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub fds: Vec<FdSlot>,
    /// The parts of other bundles that it needs.
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

    /// Whether it brings this part.
    pub fn has(&self, part: &PartRef) -> bool {
        self.names().any(|(kind, name)| kind == part.kind && *name == part.name)
    }

    /// All names that it takes in QEMU.
    pub(crate) fn names(&self) -> impl Iterator<Item = (PartKind, &SmolStr)> {
        let objects = self.objects.iter().map(|part| (PartKind::Object, &part.id));
        let chardevs = self.chardevs.iter().map(|part| (PartKind::Chardev, &part.id));
        let nodes = self.block_nodes.iter().map(|part| (PartKind::BlockNode, &part.node_name));
        let netdevs = self.netdevs.iter().map(|part| (PartKind::Netdev, &part.id));
        let devices = self.devices.iter().map(|part| (PartKind::Device, &part.id));
        objects.chain(chardevs).chain(nodes).chain(netdevs).chain(devices)
    }

    /// The name by which it is unplugged: its device's, or that of a network backend without a device.
    pub(crate) fn main(&self) -> Option<&SmolStr> {
        let device = self.devices.first().map(|device| &device.id);
        device.or_else(|| self.netdevs.first().map(|netdev| &netdev.id))
    }
}

/// Where the parts of a bundle come from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Owner {
    /// A section of the configuration, such as `memory`.
    Section(Cow<'static, str>),
    /// An entry of a section that is a list, such as `disks[0]`.
    Entry {
        /// The section.
        list: Cow<'static, str>,
        /// The entry's position. It counts those that are there now: as others are unplugged, it becomes less.
        index: usize,
    },
    /// A throttle group with a name, shared by the disks that give it.
    ThrottleGroup(SmolStr),
    /// The plan itself: controllers that make room. They stay when they are empty.
    Controllers,
}

/// As a path of the configuration where it is one.
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

/// The kinds of parts that have names, each kind with a namespace of its own in QEMU.
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

/// A part by its name.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PartRef {
    /// Its kind.
    pub kind: PartKind,
    /// Its name.
    pub name: SmolStr,
}
