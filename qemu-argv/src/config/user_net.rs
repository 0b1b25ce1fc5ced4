//! NAT inside QEMU.

use std::net::Ipv4Addr;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::flexible;
use super::forward::{GuestForward, HostForward};

/// NAT inside QEMU.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct UserNet {
    /// The guest's network, such as `10.0.2.0/24`.
    pub net: Option<String>,
    /// The host's address in the guest's network.
    pub host: Option<Ipv4Addr>,
    /// The address of the name server in the guest's network.
    pub dns: Option<Ipv4Addr>,
    /// The first address assigned by DHCP.
    pub dhcp_start: Option<Ipv4Addr>,
    /// Whether IPv4 is enabled. Defaults to true.
    pub ipv4: Option<bool>,
    /// Whether IPv6 is enabled. Defaults to true.
    pub ipv6: Option<bool>,
    /// The guest's IPv6 network, such as `fec0::/64`.
    pub ipv6_net: Option<String>,
    /// The host name announced by DHCP.
    pub hostname: Option<String>,
    /// The domain name announced by DHCP.
    pub domain: Option<String>,
    /// The search domains announced by DHCP.
    pub dns_search: Vec<String>,
    /// Whether the guest is isolated from the host and the outside; forwarded ports still work.
    pub restrict: bool,
    /// A directory that the guest can read over TFTP.
    pub tftp: Option<PathBuf>,
    /// The name of the TFTP server announced by DHCP.
    pub tftp_server_name: Option<String>,
    /// The boot file announced by DHCP.
    pub bootfile: Option<String>,
    /// A directory to share through Samba, which must be installed.
    pub smb: Option<PathBuf>,
    /// Host ports that are forwarded to the guest.
    #[serde(deserialize_with = "flexible::list")]
    pub forwards: Vec<HostForward>,
    /// Addresses in the guest's network that are forwarded to the host.
    pub guest_forwards: Vec<GuestForward>,
}
