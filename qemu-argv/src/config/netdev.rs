//! What is behind a network interface.

use std::net::IpAddr;
use std::path::PathBuf;
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::address::SocketAddress;
use super::flexible;
use super::socket_net::{ConnectNet, ListenNet, McastNet, UdpNet};
use super::user_net::UserNet;

/// What is behind a network interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(tag = "type", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NetBackend {
    /// NAT inside QEMU: needs no set-up and no privilege.
    User(UserNet),
    /// A TAP interface of the host.
    Tap(TapNet),
    /// A TAP interface that QEMU's setuid helper joins to a bridge.
    Bridge(BridgeNet),
    /// Other QEMUs over TCP, multicast or UDP, in the old protocol.
    Socket(SocketNet),
    /// Another process over a stream socket.
    Stream(StreamNet),
    /// Another process over datagrams.
    Dgram(DgramNet),
    /// Another process over a connected socket that the launcher passes in the planned slot.
    Inherited(InheritedNet),
    /// A virtual distributed Ethernet switch.
    Vde(VdeNet),
    /// passt: user-mode networking at speed. The launcher starts it and gives QEMU its socket, as one inherited.
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
            _ => Err(format!("only \"user\" can be written as one word; write {text:?} as {{ backend = {{ type = {text:?} }} }}")),
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
    /// The interface, at most 15 bytes. Left out with `open_by = "qemu"`: the kernel names it.
    pub ifname: Option<String>,
    /// Who opens it.
    pub open_by: TapOpener,
    /// A program that QEMU runs when the interface is up. Left out: none.
    pub script: Option<PathBuf>,
    /// A program that QEMU runs before the interface goes down. Left out: none.
    pub down_script: Option<PathBuf>,
    /// Whether the kernel moves the packets (`/dev/vhost-net`). Left out: no. QEMU 7.2 aborts where it cannot open that
    /// device.
    pub vhost: bool,
}

/// Who opens a TAP interface.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum TapOpener {
    /// QEMU, which must have the privilege.
    #[default]
    Qemu,
    /// The launcher, which passes one descriptor for each queue in the planned slots.
    Launcher,
}

/// A TAP interface joined to a bridge by QEMU's helper.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct BridgeNet {
    /// The bridge.
    pub bridge: String,
    /// The helper. Left out: the one QEMU was built with.
    #[serde(default)]
    pub helper: Option<PathBuf>,
}

impl BridgeNet {
    /// An interface of this bridge of the host, made by QEMU's own helper.
    pub fn new(bridge: impl Into<String>) -> Self {
        Self { bridge: bridge.into(), helper: None }
    }
}

/// Other QEMUs in the old protocol. Exactly one kind; Unix sockets need `stream` or `dgram`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, tag = "mode", rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SocketNet {
    /// Waits for one QEMU.
    Listen(ListenNet),
    /// Joins one that listens.
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
    /// The address. In files also `HOST:PORT` or an absolute path.
    #[serde(deserialize_with = "flexible::one")]
    pub address: SocketAddress,
    /// Whether QEMU listens instead of connecting.
    #[serde(default)]
    pub server: bool,
    /// How long a client waits before it connects again, in milliseconds (QEMU ≥ 8.0, whole seconds before 9.2).
    #[serde(default)]
    pub reconnect_ms: Option<u32>,
}

impl StreamNet {
    /// A client of what listens at `address`.
    pub fn new(address: SocketAddress) -> Self {
        Self { address, server: false, reconnect_ms: None }
    }
}

/// Datagrams: two ends, or a multicast group as `remote`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct DgramNet {
    /// Our end. Left out only with a multicast group as `remote`.
    #[serde(default, deserialize_with = "flexible::optional")]
    pub local: Option<SocketAddress>,
    /// The other end.
    #[serde(deserialize_with = "flexible::one")]
    pub remote: SocketAddress,
}

impl DgramNet {
    /// Sends to `remote` and gives itself no address.
    pub fn new(remote: SocketAddress) -> Self {
        Self { local: None, remote }
    }
}

/// A socket that is connected already.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct InheritedNet {
    /// What the socket carries.
    pub kind: SocketKind,
}

/// What a connected socket carries.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SocketKind {
    /// A stream of packets, each after its length.
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
    /// The switch's control directory. Left out: VDE's default switch.
    pub socket: Option<PathBuf>,
    /// The port of the switch. Left out: any.
    pub port: Option<u16>,
    /// The group that owns the port.
    pub group: Option<String>,
    /// The mode of the port, such as `0o600` (384).
    pub mode: Option<u16>,
}

/// passt, started by the launcher, one for each network; it ends with QEMU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct PasstNet {
    /// The program. Left out: `passt` on the search path.
    pub path: Option<PathBuf>,
    /// The guest's address.
    pub address: Option<IpAddr>,
    /// The guest's netmask.
    pub netmask: Option<String>,
    /// The guest's gateway.
    pub gateway: Option<IpAddr>,
    /// The host's interface for the outside.
    pub interface: Option<String>,
    /// Name servers that the guest is told.
    pub dns: Option<String>,
    /// TCP ports to forward, in passt's words: `127.0.0.1/2222:22`.
    pub tcp_ports: Vec<String>,
    /// UDP ports to forward, in passt's words.
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
    /// Whether QEMU listens. It then waits at start until the switch connects.
    #[serde(default)]
    pub server: bool,
}

impl VhostUserNet {
    /// A client of the program that listens at this socket.
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
    /// The device at this path, such as `/dev/vhost-vdpa-0`.
    pub fn new(device: impl Into<PathBuf>) -> Self {
        Self { device: device.into() }
    }
}

/// An Ethernet tunnel over `L2TPv3`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct L2tpv3Net {
    /// Our address.
    pub src: String,
    /// The other end's address.
    pub dst: String,
    /// Our session number.
    pub tx_session: u32,
    /// The other end's session number. Left out: as ours.
    #[serde(default)]
    pub rx_session: Option<u32>,
    /// Our UDP port. With `dst_port`: UDP instead of raw IP.
    #[serde(default)]
    pub src_port: Option<u16>,
    /// The other end's UDP port.
    #[serde(default)]
    pub dst_port: Option<u16>,
    /// Whether it runs over IPv6.
    #[serde(default)]
    pub ipv6: bool,
}

impl L2tpv3Net {
    /// A tunnel over IPv4, without UDP and cookies.
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
    /// The id of another network (with `model = "none"`) that this port joins to the hub.
    pub netdev: Option<String>,
}
