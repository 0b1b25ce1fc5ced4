//! Ports forwarded into and out of a user-mode network.
//!
//! QEMU's notation has no escapes, so they are parsed into numbers and addresses and formatted again.

use std::fmt;
use std::net::{IpAddr, Ipv4Addr};
use std::str::FromStr;

use serde::{Deserialize, Serialize};

use super::flexible;

/// A host port that is forwarded to the guest. In config files, may be given in QEMU's notation:
/// `"tcp:127.0.0.1:2222-:22"`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema), schemars(transform = flexible::or_short::<Self>))]
#[serde(deny_unknown_fields)]
pub struct HostForward {
    /// TCP or UDP.
    #[serde(default)]
    pub protocol: Transport,
    /// The host address. Defaults to 127.0.0.1; 0.0.0.0 makes the port available to other hosts.
    #[serde(default = "loopback")]
    pub host_address: Ipv4Addr,
    /// The host port; 0 lets the system choose.
    pub host_port: u16,
    /// The guest's address. Defaults to the first one assigned by DHCP.
    #[serde(default)]
    pub guest_address: Option<Ipv4Addr>,
    /// The guest's port.
    pub guest_port: u16,
}

const fn loopback() -> Ipv4Addr {
    Ipv4Addr::LOCALHOST
}

impl HostForward {
    /// Forwards a TCP port of 127.0.0.1 to `guest_port`.
    pub const fn tcp(host_port: u16, guest_port: u16) -> Self {
        Self {
            protocol: Transport::Tcp,
            host_address: Ipv4Addr::LOCALHOST,
            host_port,
            guest_address: None,
            guest_port,
        }
    }
}

impl fmt::Display for HostForward {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { protocol, host_address, host_port, guest_address, guest_port } = self;
        write!(formatter, "{}:{host_address}:{host_port}-", protocol.word())?;
        guest_address.map_or(Ok(()), |address| write!(formatter, "{address}"))?;
        write!(formatter, ":{guest_port}")
    }
}

/// The error for an invalid port forwarding.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "{0:?} is not a valid port forwarding; expected for example 2222:22, tcp:127.0.0.1:2222-:22 or udp::5353-10.0.2.15:53 (IPv4 only)"
)]
#[non_exhaustive]
pub struct ParseForwardError(String);

impl FromStr for HostForward {
    type Err = ParseForwardError;

    /// Parses QEMU's notation, or `HOST_PORT:GUEST_PORT`. The host address defaults to 127.0.0.1, unlike QEMU's default of all interfaces.
    fn from_str(text: &str) -> Result<Self, ParseForwardError> {
        // `2222:22`, as other tools have it.
        if let Some((host, guest)) = text.split_once(':')
            && let (Some(host_port), Some(guest_port)) = (flexible::port(host), flexible::port(guest))
        {
            let host_address = Ipv4Addr::LOCALHOST;
            return Ok(Self {
                protocol: Transport::Tcp,
                host_address,
                host_port,
                guest_address: None,
                guest_port,
            });
        }
        let read = || {
            let (host, guest) = text.split_once('-')?;
            let mut host = host.split(':');
            let protocol = match host.next()? {
                "tcp" | "" => Transport::Tcp,
                "udp" => Transport::Udp,
                _ => return None,
            };
            let host_address = match host.next()? {
                "" => Ipv4Addr::LOCALHOST,
                address => address.parse().ok()?,
            };
            let host_port = flexible::port(host.next()?)?;
            let (guest_address, guest_port) = guest.split_once(':')?;
            let guest_address = match guest_address {
                "" => None,
                address => Some(address.parse().ok()?),
            };
            let guest_port = flexible::port(guest_port)?;
            host.next().is_none().then_some(Self {
                protocol,
                host_address,
                host_port,
                guest_address,
                guest_port,
            })
        };
        read().ok_or_else(|| ParseForwardError(text.to_owned()))
    }
}

impl flexible::Short for HostForward {
    #[cfg(feature = "schema")]
    fn short_schema() -> schemars::Schema {
        crate::schema_forms::host_forward()
    }
}

/// A transport protocol.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[expect(missing_docs, reason = "the names are the protocols' own")]
#[non_exhaustive]
pub enum Transport {
    #[default]
    Tcp,
    Udp,
}

impl Transport {
    const fn word(self) -> &'static str {
        match self {
            Self::Tcp => "tcp",
            Self::Udp => "udp",
        }
    }
}

/// An address in the guest's network that is forwarded to the host.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct GuestForward {
    /// The address in the guest's network.
    pub address: Ipv4Addr,
    /// The port at that address.
    pub port: u16,
    /// The target.
    pub to: GuestForwardTarget,
}

impl GuestForward {
    /// Forwards the guest's connections to `address` and `port`.
    pub fn new(address: Ipv4Addr, port: u16, to: GuestForwardTarget) -> Self {
        Self { address, port, to }
    }
}

/// The target of a forwarded address of the guest's network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(tag = "type", rename_all = "kebab-case", deny_unknown_fields)]
#[non_exhaustive]
pub enum GuestForwardTarget {
    /// A TCP port, connected at startup.
    Tcp(TcpTarget),
    /// A shell command of the host for each connection, connected to its standard input and output.
    Command(CommandTarget),
}

/// A TCP port, connected at startup.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct TcpTarget {
    /// The address.
    pub address: IpAddr,
    /// The port.
    pub port: u16,
}

impl TcpTarget {
    /// Makes one from the required fields.
    pub fn new(address: IpAddr, port: u16) -> Self {
        Self { address, port }
    }
}

/// A shell command of the host for each connection, connected to its standard input and output.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct CommandTarget {
    /// The command.
    pub command: String,
}

impl CommandTarget {
    /// Makes one from the required fields.
    pub fn new(command: impl Into<String>) -> Self {
        Self { command: command.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn forwards_read_qemus_words() {
        for (text, printed) in [
            ("tcp:127.0.0.1:2222-:22", "tcp:127.0.0.1:2222-:22"),
            ("tcp::0-:22", "tcp:127.0.0.1:0-:22"),
            ("2222:22", "tcp:127.0.0.1:2222-:22"),
            ("udp:0.0.0.0:53-10.0.2.15:53", "udp:0.0.0.0:53-10.0.2.15:53"),
        ] {
            assert_eq!(
                text.parse::<HostForward>().map(|forward| forward.to_string()).as_deref(),
                Ok(printed)
            );
        }
        for bad in [
            "",
            "tcp",
            "tcp:2222-:22",
            "tcp::1-:2:3",
            "tcp::1:2-:3",
            "sctp::1-:2",
            "tcp:h,x:1-:2",
            "tcp::99999-:1",
        ] {
            assert_eq!(bad.parse::<HostForward>(), Err(ParseForwardError(bad.into())), "{bad}");
        }
    }
}
