//! NUMA nodes.

use serde::{Deserialize, Serialize};

use super::size::Size;
use crate::value::Props;

/// A node: CPUs and the memory near them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct NumaNode {
    /// Its share of the memory. The sum of all shares must be `memory.size`.
    pub memory: Size,
    /// Its CPUs: numbers and ranges such as `0-3`.
    pub cpus: Vec<String>,
    /// The places of its CPUs in the topology, such as `{ socket-id = 0, core-id = 1 }` (`-numa cpu`), instead of `cpus`. Which numbers
    /// there are, `query-hotpluggable-cpus` tells.
    pub cpu_places: Vec<Props>,
    /// The nearest node with CPUs, of a node that has none. Requires `machine.options.hmat`.
    pub initiator: Option<u16>,
    /// The distance to each node, in node order; 10 for itself. Defaults to 20 for all others.
    pub distances: Vec<u8>,
    /// The host nodes that its memory is allocated from. Defaults to any.
    pub host_nodes: Vec<u16>,
    /// The allocation policy for `host_nodes`.
    pub policy: Option<NumaPolicy>,
}

/// The allocation policy for memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NumaPolicy {
    /// Prefer the given nodes.
    Preferred,
    /// Use only the given nodes.
    Bind,
    /// Alternate between the given nodes.
    Interleave,
}
