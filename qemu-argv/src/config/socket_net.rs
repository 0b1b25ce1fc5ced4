//! The kinds of the old socket network.

use std::net::IpAddr;

use serde::{Deserialize, Serialize};

use super::address::SocketAddress;
use super::flexible;

/// Waits for one QEMU.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ListenNet {
    /// The address to listen on. In config files, `HOST:PORT`.
    #[serde(deserialize_with = "flexible::one")]
    pub address: SocketAddress,
}

impl ListenNet {
    /// Makes one from the required fields.
    pub fn new(address: SocketAddress) -> Self {
        Self { address }
    }
}

/// Connects to a QEMU that listens.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct ConnectNet {
    /// Its address.
    #[serde(deserialize_with = "flexible::one")]
    pub address: SocketAddress,
}

impl ConnectNet {
    /// Makes one from the required fields.
    pub fn new(address: SocketAddress) -> Self {
        Self { address }
    }
}

/// A bus of many QEMUs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct McastNet {
    /// The multicast group and port.
    #[serde(deserialize_with = "flexible::one")]
    pub address: SocketAddress,
    /// The address of the host's interface to use.
    #[serde(default)]
    pub local: Option<IpAddr>,
}

impl McastNet {
    /// Makes one from the required fields, with defaults for the others.
    pub fn new(address: SocketAddress) -> Self {
        Self { address, local: None }
    }
}

/// A UDP tunnel.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct UdpNet {
    /// The remote address.
    #[serde(deserialize_with = "flexible::one")]
    pub address: SocketAddress,
    /// The local address.
    #[serde(deserialize_with = "flexible::one")]
    pub local: SocketAddress,
}

impl UdpNet {
    /// Makes one from the required fields.
    pub fn new(address: SocketAddress, local: SocketAddress) -> Self {
        Self { address, local }
    }
}
