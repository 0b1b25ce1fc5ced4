//! The parts a planned machine is made of. Each is one description that serves the command line and QMP alike.

use std::borrow::Cow;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::topology::Placement;
use crate::value::{Props, Value};

/// A part of which QEMU is told in one object: what it is and how it is called, where it sits, then its properties.
pub(crate) trait Part {
    fn names(&self) -> [(&'static str, &str); 2];

    /// Says the properties of its place.
    fn each_of_place(&self, _say: impl FnMut(&'static str, Value)) {}

    fn props(&self) -> &Props;

    /// The object.
    fn to_props(&self) -> Props {
        let names = self.names().into_iter();
        let mut all = names.fold(Props::new(), |all, (key, name)| all.with(key, name));
        self.each_of_place(|key, value| all.set(key, value));
        all.extend(self.props().clone());
        all
    }
}

/// A device: `-device` at start, `device_add` at run time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Device {
    /// QEMU's driver, such as `virtio-blk-pci`.
    pub driver: SmolStr,
    /// The id.
    pub id: SmolStr,
    /// Where it sits. What its own properties say of that stands.
    #[serde(default, skip_serializing_if = "Placement::is_unplaced")]
    pub place: Placement,
    /// All other properties.
    #[serde(default, skip_serializing_if = "Props::is_empty")]
    pub props: Props,
}

impl Device {
    /// The arguments of `device_add`, which are also the JSON of `-device`.
    pub fn arguments(&self) -> Props {
        self.to_props()
    }
}

impl Part for Device {
    fn names(&self) -> [(&'static str, &str); 2] {
        [("driver", &self.driver), ("id", &self.id)]
    }

    fn each_of_place(&self, mut say: impl FnMut(&'static str, Value)) {
        self.place.each(|key, value| {
            if self.props.get(key).is_none() {
                say(key, value);
            }
        });
    }

    fn props(&self) -> &Props {
        &self.props
    }
}

/// An object: `-object` at start, `object-add` at run time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Object {
    /// QEMU's type, such as `iothread`.
    pub qom_type: SmolStr,
    /// The id.
    pub id: SmolStr,
    /// All other properties.
    pub props: Props,
}

impl Object {
    /// The arguments of `object-add`, which are also the JSON of `-object`.
    pub fn arguments(&self) -> Props {
        self.to_props()
    }
}

impl Part for Object {
    fn names(&self) -> [(&'static str, &str); 2] {
        [("qom-type", &self.qom_type), ("id", &self.id)]
    }

    fn props(&self) -> &Props {
        &self.props
    }
}

/// A node of the block graph: `-blockdev` at start, `blockdev-add` at run time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct BlockNode {
    /// The block driver, such as `qcow2`.
    pub driver: SmolStr,
    /// The name of the node.
    pub node_name: SmolStr,
    /// All other options.
    pub props: Props,
}

impl BlockNode {
    /// The arguments of `blockdev-add`, which are also the JSON of `-blockdev`.
    pub fn arguments(&self) -> Props {
        self.to_props()
    }
}

impl Part for BlockNode {
    fn names(&self) -> [(&'static str, &str); 2] {
        [("driver", &self.driver), ("node-name", &self.node_name)]
    }

    fn props(&self) -> &Props {
        &self.props
    }
}

/// A network backend: `-netdev` at start, `netdev_add` at run time.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Netdev {
    /// QEMU's type, such as `user`.
    pub kind: SmolStr,
    /// The id.
    pub id: SmolStr,
    /// All other options.
    pub props: Props,
}

impl Netdev {
    /// The arguments of `netdev_add`, which are also the JSON of `-netdev`.
    pub fn arguments(&self) -> Props {
        self.to_props()
    }
}

impl Part for Netdev {
    fn names(&self) -> [(&'static str, &str); 2] {
        [("type", &self.kind), ("id", &self.id)]
    }

    fn props(&self) -> &Props {
        &self.props
    }
}

/// Any other option of the command line.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct CliOption {
    /// The option with its dash, such as `-smp`.
    pub name: Cow<'static, str>,
    /// Its argument.
    pub value: OptionValue,
}

/// The argument of an option.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum OptionValue {
    /// None.
    Flag,
    /// One text that QEMU does not take apart.
    Plain(Value),
    /// `key=value,…`.
    KeyValue(Props),
    /// JSON.
    Json(Props),
}

/// A Unix socket that the planned QEMU makes and listens to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedSocket {
    /// What speaks there.
    pub role: SocketRole,
    /// Where it is.
    pub path: PathBuf,
}

/// What speaks at a socket.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SocketRole {
    /// A QMP monitor.
    Qmp,
    /// A serial console, counted from 0.
    Console(u32),
    /// The QEMU guest agent.
    Agent,
    /// VNC.
    Vnc,
    /// SPICE.
    Spice,
    /// The channel of a virtio-serial port with that name.
    Port(String),
}

/// A descriptor that the planned QEMU expects to inherit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FdSlot {
    /// The number of the descriptor in QEMU.
    pub fd: u32,
    /// What must be behind it.
    pub role: FdRole,
}

impl FdSlot {
    /// The name under which a running QEMU gets it (`getfd`), for a device that is plugged in.
    pub fn monitor_name(&self) -> String {
        format!("fd{}", self.fd)
    }
}

/// What must be behind a descriptor.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FdRole {
    /// A connected socket whose other end speaks QMP.
    Qmp,
    /// A socket, bound to a path, that QEMU listens to for QMP clients.
    Monitor,
    /// A file (such as a memfd) with the content of the secret of that id.
    Secret {
        /// The secret's id.
        id: String,
    },
    /// A queue of a TAP interface.
    Tap {
        /// The network's id.
        network: String,
        /// The queue, from 0.
        queue: u16,
    },
    /// An open `/dev/vhost-net`.
    VhostNet {
        /// The network's id.
        network: String,
        /// The queue, from 0.
        queue: u16,
    },
    /// A connected socket, one end of a network.
    NetSocket {
        /// The network's id.
        network: String,
    },
    /// An open `/dev/vhost-vsock`.
    VhostVsock,
    /// A regular file, open for reading and writing, with an empty qcow2 image as large as the disk: what is written to a
    /// disk with `snapshot` goes there.
    Overlay {
        /// The disk's id.
        disk: String,
    },
}
