//! Network backends.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::address::SocketAddress;
use super::flexible;
use super::socket_net::{ConnectNet, ListenNet, McastNet, UdpNet};
use super::user_net::UserNet;

/// The backend of a network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NetBackend {
    /// NAT inside QEMU, which needs no setup and no privileges.
    User(UserNet),
    /// A TAP interface of the host.
    Tap(TapNet),
    /// A TAP interface that QEMU's set-user-ID helper adds to a bridge.
    Bridge(BridgeNet),
    /// Other QEMUs over TCP, multicast or UDP, with the old protocol.
    Socket(SocketNet),
    /// Another process over a stream socket.
    Stream(StreamNet),
    /// Another process over datagrams.
    Dgram(DgramNet),
    /// Another process over a connected socket that the launcher passes as a file descriptor.
    Inherited(InheritedNet),
    /// A virtual distributed Ethernet switch.
    Vde(VdeNet),
    /// passt: fast user-mode networking. The launcher starts it and passes its socket to QEMU.
    Passt(PasstNet),
    /// A switch in user space that shares the guest's memory.
    VhostUser(VhostUserNet),
    /// A vDPA device of the host.
    VhostVdpa(VhostVdpaNet),
    /// An Ethernet tunnel over `L2TPv3`.
    L2tpv3(L2tpv3Net),
    /// A port of a hub inside QEMU.
    Hubport(HubportNet),
}

impl FromStr for NetBackend {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text {
            "user" => Ok(Self::User(UserNet::default())),
            "none" => Err("no network is the default; leave `networks` out".into()),
            "tap" => {
                Err("a TAP interface needs its name: { backend = { type = \"tap\", ifname = \"tap0\" } }"
                    .into())
            }
            "bridge" => {
                Err("a bridge needs its name: { backend = { type = \"bridge\", bridge = \"br0\" } }".into())
            }
            _ => Err(format!(
                "only \"user\" can be written as one word; write {text:?} as {{ backend = {{ type = {text:?} }} }}"
            )),
        }
    }
}

impl flexible::Short for NetBackend {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::words(["user"])
    }
}

/// A TAP interface.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct TapNet {
    /// The interface, at most 15 bytes. With `open_by = "qemu"`, defaults to a name chosen by the kernel.
    pub ifname: Option<String>,
    /// Who opens it.
    pub open_by: TapOpener,
    /// A program that QEMU runs after the interface is up. Defaults to none.
    pub script: Option<PathBuf>,
    /// A program that QEMU runs before the interface goes down. Defaults to none.
    pub down_script: Option<PathBuf>,
    /// Whether the kernel moves the packets (`/dev/vhost-net`). Defaults to false. QEMU 7.2 aborts if it cannot open
    /// that device.
    pub vhost: bool,
}

/// Who opens a TAP interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TapOpener {
    /// QEMU, which requires the privileges.
    #[default]
    Qemu,
    /// The launcher, which passes one file descriptor for each queue.
    Launcher,
}

/// A TAP interface that QEMU's helper adds to a bridge.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BridgeNet {
    /// The bridge.
    pub bridge: String,
    /// The helper. Defaults to the one that QEMU was built with.
    #[serde(default)]
    pub helper: Option<PathBuf>,
}

impl BridgeNet {
    /// Makes an interface of this bridge, created by QEMU's helper.
    pub fn new(bridge: impl Into<String>) -> Self {
        Self { bridge: bridge.into(), helper: None }
    }
}

/// Other QEMUs, with the old protocol. Unix sockets require `stream` or `dgram`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, tag = "mode", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SocketNet {
    /// Waits for one QEMU.
    Listen(ListenNet),
    /// Connects to a QEMU that listens.
    Connect(ConnectNet),
    /// A bus of many QEMUs.
    Mcast(McastNet),
    /// A UDP tunnel.
    Udp(UdpNet),
}

/// A stream socket.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct StreamNet {
    /// The address. In config files, may be given as `HOST:PORT` or an absolute path.
    #[serde(deserialize_with = "flexible::one")]
    pub address: SocketAddress,
    /// Whether QEMU listens instead of connecting.
    #[serde(default)]
    pub server: bool,
    /// The delay before a client reconnects, in milliseconds (QEMU 8.0 or later; only whole seconds before 9.2).
    #[serde(default)]
    pub reconnect_ms: Option<u32>,
}

impl StreamNet {
    /// Makes a client that connects to `address`.
    pub fn new(address: SocketAddress) -> Self {
        Self { address, server: false, reconnect_ms: None }
    }
}

/// A datagram socket: two endpoints, or a multicast group as `remote`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DgramNet {
    /// The local address. May be omitted only if `remote` is a multicast group.
    #[serde(default, deserialize_with = "flexible::optional")]
    pub local: Option<SocketAddress>,
    /// The remote address.
    #[serde(deserialize_with = "flexible::one")]
    pub remote: SocketAddress,
}

impl DgramNet {
    /// Makes a socket that sends to `remote` and has no local address.
    pub fn new(remote: SocketAddress) -> Self {
        Self { local: None, remote }
    }
}

/// A socket that is already connected.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct InheritedNet {
    /// The kind of the socket.
    pub kind: SocketKind,
}

/// The kind of a connected socket.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SocketKind {
    /// A stream of packets, each preceded by its length.
    #[default]
    Stream,
    /// A packet in each datagram.
    Dgram,
}

/// A VDE switch.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct VdeNet {
    /// The switch's control directory. Defaults to VDE's default switch.
    pub socket: Option<PathBuf>,
    /// The port of the switch. Defaults to any.
    pub port: Option<u16>,
    /// The group that owns the port.
    pub group: Option<String>,
    /// The mode of the port, such as `0o600` (384).
    pub mode: Option<u16>,
}

/// passt, started by the launcher for each network; it ends with QEMU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PasstNet {
    /// The program. Defaults to `passt` in `PATH`.
    pub path: Option<PathBuf>,
    /// The guest's address.
    pub address: Option<IpAddr>,
    /// The guest's netmask.
    pub netmask: Option<String>,
    /// The guest's gateway.
    pub gateway: Option<IpAddr>,
    /// The host's outgoing interface.
    pub interface: Option<String>,
    /// The name servers for the guest.
    pub dns: Option<String>,
    /// TCP ports to forward, in passt's notation: `127.0.0.1/2222:22`.
    pub tcp_ports: Vec<String>,
    /// UDP ports to forward, in passt's notation.
    pub udp_ports: Vec<String>,
    /// The MTU, in bytes.
    pub mtu: Option<u16>,
}

/// A switch in user space.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VhostUserNet {
    /// The Unix socket.
    pub path: PathBuf,
    /// Whether QEMU listens. It then waits at startup until the switch connects.
    #[serde(default)]
    pub server: bool,
}

impl VhostUserNet {
    /// Makes a client of the program that listens on this socket.
    pub fn new(path: impl Into<PathBuf>) -> Self {
        Self { path: path.into(), server: false }
    }
}

/// A vDPA device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct VhostVdpaNet {
    /// The device, such as `/dev/vhost-vdpa-0`.
    pub device: PathBuf,
}

impl VhostVdpaNet {
    /// Makes a backend from the device at this path, such as `/dev/vhost-vdpa-0`.
    pub fn new(device: impl Into<PathBuf>) -> Self {
        Self { device: device.into() }
    }
}

/// An Ethernet tunnel over `L2TPv3`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct L2tpv3Net {
    /// The local address.
    pub src: String,
    /// The remote address.
    pub dst: String,
    /// The local session number.
    pub tx_session: u32,
    /// The remote session number. Defaults to the local one.
    #[serde(default)]
    pub rx_session: Option<u32>,
    /// The local UDP port. With `dst_port`, UDP is used instead of raw IP.
    #[serde(default)]
    pub src_port: Option<u16>,
    /// The remote UDP port.
    #[serde(default)]
    pub dst_port: Option<u16>,
    /// Whether to use IPv6.
    #[serde(default)]
    pub ipv6: bool,
}

impl L2tpv3Net {
    /// Makes a tunnel over IPv4, without UDP and cookies.
    pub fn new(src: impl Into<String>, dst: impl Into<String>, tx_session: u32) -> Self {
        Self {
            src: src.into(),
            dst: dst.into(),
            tx_session,
            rx_session: None,
            src_port: None,
            dst_port: None,
            ipv6: false,
        }
    }
}

/// A port of a hub inside QEMU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct HubportNet {
    /// The number of the hub.
    pub hub: u32,
    /// The id of another network (with `model = "none"`) that this port connects to the hub.
    pub netdev: Option<String>,
}
