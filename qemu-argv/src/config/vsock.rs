//! Sockets between host and guest.

use serde::{Deserialize, Serialize};

use crate::topology::Address;
use crate::value::Props;

/// `AF_VSOCK` between host and guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Vsock {
    /// The guest's context id, at least 3 and unique on the host.
    pub cid: u32,
    /// Whether the launcher opens `/dev/vhost-vsock` and passes it on, so that QEMU needs no permission.
    #[serde(default)]
    pub pass_fd: bool,
    /// The address (PCI or channel I/O). Defaults to an address chosen by the plan.
    #[serde(default)]
    pub address: Option<Address>,
    /// Additional properties of the device, passed on unchanged.
    #[serde(default)]
    pub properties: Props,
}

impl Vsock {
    /// Makes a socket device with this context id, which must be unique on the host; 3 is the lowest for guests.
    pub fn new(cid: u32) -> Self {
        Self { cid, pass_fd: false, address: None, properties: Props::new() }
    }
}
