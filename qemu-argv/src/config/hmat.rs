//! What the guest is told of the speed of its memory: ACPI's heterogeneous memory attributes.

use serde::{Deserialize, Serialize};

use super::size::Size;

/// The speed of memory between NUMA nodes (`-numa hmat-lb`, `-numa hmat-cache`; requires `machine.options.hmat`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Hmat {
    /// Latencies and bandwidths.
    pub speeds: Vec<MemorySpeed>,
    /// Caches in front of a node's memory.
    pub caches: Vec<MemoryCache>,
}

/// A latency or a bandwidth between two nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MemorySpeed {
    /// The node that accesses the memory.
    pub initiator: u16,
    /// The node that has the memory.
    pub target: u16,
    /// What is accessed: `memory`, `first-level`, `second-level` or `third-level`. Defaults to `memory`.
    #[serde(default = "memory")]
    pub hierarchy: String,
    /// Which accesses it is about: `access`, `read` or `write`. Defaults to both.
    #[serde(default = "access")]
    pub access: String,
    /// The latency in nanoseconds. Exactly one of `latency_ns` and `bandwidth`.
    #[serde(default)]
    pub latency_ns: Option<u32>,
    /// The bandwidth in bytes per second.
    #[serde(default)]
    pub bandwidth: Option<Size>,
}

fn memory() -> String {
    "memory".into()
}

fn access() -> String {
    "access".into()
}

impl MemorySpeed {
    /// Makes a latency of accesses to memory, in nanoseconds.
    pub fn latency(initiator: u16, target: u16, nanoseconds: u32) -> Self {
        Self {
            initiator,
            target,
            hierarchy: memory(),
            access: access(),
            latency_ns: Some(nanoseconds),
            bandwidth: None,
        }
    }

    /// Makes a bandwidth of accesses to memory, in bytes per second.
    pub fn bandwidth(initiator: u16, target: u16, per_second: Size) -> Self {
        Self { latency_ns: None, bandwidth: Some(per_second), ..Self::latency(initiator, target, 0) }
    }
}

/// A cache in front of a node's memory.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct MemoryCache {
    /// The node that has the memory.
    pub node: u16,
    /// The size.
    pub size: Size,
    /// The level, 1 to 3.
    pub level: u8,
    /// The size of a line in bytes.
    pub line: u16,
    /// The associativity: `none`, `direct` or `complex`. Defaults to `none`.
    #[serde(default)]
    pub associativity: Option<String>,
    /// The write policy: `none`, `write-back` or `write-through`. Defaults to `none`.
    #[serde(default)]
    pub policy: Option<String>,
}

impl MemoryCache {
    /// Makes one from the required fields, with QEMU's defaults for the others.
    pub fn new(node: u16, size: Size, level: u8, line: u16) -> Self {
        Self { node, size, level, line, associativity: None, policy: None }
    }
}
