//! The virtio balloon: memory that the guest gives back.

use serde::{Deserialize, Serialize};

use crate::topology::Address;

/// A memory balloon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Balloon {
    /// Whether the balloon gives memory back when the guest runs out of it.
    pub deflate_on_oom: bool,
    /// Whether the guest tells which pages are free, so that the host can take them.
    pub free_page_reporting: bool,
    /// How often the guest's memory statistics are asked for, in seconds. Left out: never.
    pub stats_s: Option<u32>,
    /// The address (PCI, channel I/O or memory-mapped slot). Left out: planned.
    pub address: Option<Address>,
}
