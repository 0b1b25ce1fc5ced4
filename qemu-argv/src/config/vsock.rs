//! Sockets between host and guest.

use serde::{Deserialize, Serialize};

use crate::topology::Address;

/// `AF_VSOCK` between host and guest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct Vsock {
    /// The guest's context id, unique on the host, from 3.
    pub cid: u32,
    /// Whether the launcher opens `/dev/vhost-vsock` and passes it, so that QEMU needs no right to.
    #[serde(default)]
    pub pass_fd: bool,
    /// The address (PCI or channel I/O). Left out: planned.
    #[serde(default)]
    pub address: Option<Address>,
}

impl Vsock {
    /// The socket device with this context id, which the host has once; 3 is the lowest for guests.
    pub fn new(cid: u32) -> Self {
        Self { cid, pass_fd: false, address: None }
    }
}
