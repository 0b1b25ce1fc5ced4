//! Objects without a section of their own.

use serde::{Deserialize, Serialize};

use crate::value::Props;

/// An object (`-object`) without a section of its own, such as a memory backend or a filter. Objects are created before devices.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields)]
pub struct OtherObject {
    /// QEMU's type, such as `memory-backend-file`, `filter-dump` or `sev-guest`.
    #[serde(rename = "type")]
    pub kind: String,
    /// The id, by which other parts refer to it.
    pub id: String,
    /// Properties of the object, passed on unchanged.
    #[serde(default)]
    pub properties: Props,
}

impl OtherObject {
    /// Makes one from the required fields.
    pub fn new(kind: impl Into<String>, id: impl Into<String>) -> Self {
        Self { kind: kind.into(), id: id.into(), properties: Props::new() }
    }
}
