//! NUMA nodes.

use serde::{Deserialize, Serialize};

use super::size::Size;

/// A node: processors and the memory near them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct NumaNode {
    /// Its part of the memory. All parts together make `memory.size`.
    pub memory: Size,
    /// Its processors: numbers and ranges such as `0-3`.
    pub cpus: Vec<String>,
    /// How far each node is, in node order, 10 for itself. Left out: 20 for all others.
    pub distances: Vec<u8>,
    /// The host's nodes that its memory comes from. Left out: any.
    pub host_nodes: Vec<u16>,
    /// How strictly it comes from `host_nodes`.
    pub policy: Option<NumaPolicy>,
}

/// How strictly memory comes from the host's nodes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum NumaPolicy {
    /// From there if there is room.
    Preferred,
    /// From there or not at all.
    Bind,
    /// From all of them in turn.
    Interleave,
}
