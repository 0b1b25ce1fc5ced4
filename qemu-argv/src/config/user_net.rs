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
    /// The address at which the guest reaches the host.
    pub host: Option<Ipv4Addr>,
    /// The address of the name server that the guest is told.
    pub dns: Option<Ipv4Addr>,
    /// The first address that DHCP gives out.
    pub dhcp_start: Option<Ipv4Addr>,
    /// Whether IPv4 is there. Left out: yes.
    pub ipv4: Option<bool>,
    /// Whether IPv6 is there. Left out: yes.
    pub ipv6: Option<bool>,
    /// The guest's IPv6 network, such as `fec0::/64`.
    pub ipv6_net: Option<String>,
    /// The host name that DHCP gives.
    pub hostname: Option<String>,
    /// The domain name that DHCP gives.
    pub domain: Option<String>,
    /// Search domains that DHCP gives.
    pub dns_search: Vec<String>,
    /// Whether the guest is cut off from host and outside; forwarded ports still work.
    pub restrict: bool,
    /// A directory that the guest can read over TFTP.
    pub tftp: Option<PathBuf>,
    /// The name of the TFTP server that DHCP gives.
    pub tftp_server_name: Option<String>,
    /// The boot file that DHCP gives.
    pub bootfile: Option<String>,
    /// A directory to share by Samba, which must be installed.
    pub smb: Option<PathBuf>,
    /// Ports of the host that lead into the guest.
    #[serde(deserialize_with = "flexible::list")]
    pub forwards: Vec<HostForward>,
    /// Addresses in the guest's network that lead elsewhere.
    pub guest_forwards: Vec<GuestForward>,
}
