//! The parts of a planned machine. The same description is used for the command line and for QMP.

use std::borrow::Cow;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use smol_str::SmolStr;

use crate::topology::Placement;
use crate::value::{Props, Value};

/// A part that QEMU receives as one JSON object: type and id, then address, then other properties.
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
    /// Where it is attached. An address in its own properties takes precedence.
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

/// Any other command-line option.
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
    /// A text that QEMU does not parse further.
    Plain(Value),
    /// `key=value,…`.
    KeyValue(Props),
    /// JSON.
    Json(Props),
}

/// A Unix socket that QEMU creates and listens on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct PlannedSocket {
    /// Its purpose.
    pub role: SocketRole,
    /// Its path.
    pub path: PathBuf,
}

/// The purpose of a socket.
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

/// A file descriptor that QEMU expects to inherit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct FdSlot {
    /// The number of the file descriptor in QEMU.
    pub fd: u32,
    /// What it must refer to.
    pub role: FdRole,
}

impl FdSlot {
    /// Returns the name for `getfd`, for a hotplugged device.
    pub fn monitor_name(&self) -> String {
        format!("fd{}", self.fd)
    }
}

/// What a file descriptor must refer to.
#[derive(Clone, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum FdRole {
    /// A connected socket whose other end is a QMP client.
    Qmp,
    /// A socket, bound to a path, on which QEMU listens for QMP clients.
    Monitor,
    /// A file (such as a memfd) that contains the secret with this id.
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
    /// A connected socket of a network.
    NetSocket {
        /// The network's id.
        network: String,
    },
    /// An open `/dev/vhost-vsock`.
    VhostVsock,
    /// A regular file, open for reading and writing, with an empty qcow2 image as large as the disk: it receives the
    /// writes to a disk with `snapshot`.
    Overlay {
        /// The disk's id.
        disk: String,
    },
}
