//! The virtio balloon, by which the guest returns memory.

use serde::{Deserialize, Serialize};

use crate::topology::Address;
use crate::value::Props;

/// A memory balloon.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Balloon {
    /// Whether the balloon shrinks when the guest runs out of memory.
    pub deflate_on_oom: bool,
    /// Whether the guest reports free pages, so that the host can reclaim them.
    pub free_page_reporting: bool,
    /// The polling interval of the guest's memory statistics, in seconds. Defaults to no polling.
    pub stats_s: Option<u32>,
    /// The address (PCI, channel I/O or memory-mapped slot). Defaults to an address chosen by the plan.
    pub address: Option<Address>,
    /// Additional properties of the device, passed on unchanged.
    pub properties: Props,
}
