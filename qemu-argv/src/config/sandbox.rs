//! QEMU's own seccomp filter.

use serde::{Deserialize, Serialize};

/// The system calls that QEMU denies itself. All are denied by default; the plan opens what a chosen device needs.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of QEMU's -sandbox option")]
pub struct Sandbox {
    /// Whether there is a filter (Linux).
    pub enabled: bool,
    /// Whether QEMU may start programs, whatever the devices need.
    pub allow_spawn: bool,
    /// Whether programs it starts may gain privileges, whatever the devices need.
    pub allow_elevate: bool,
    /// Whether it may change its scheduling.
    pub allow_resource_control: bool,
    /// Whether it may use obsolete system calls.
    pub allow_obsolete: bool,
}

impl Default for Sandbox {
    fn default() -> Self {
        Self {
            enabled: true,
            allow_spawn: false,
            allow_elevate: false,
            allow_resource_control: false,
            allow_obsolete: false,
        }
    }
}
