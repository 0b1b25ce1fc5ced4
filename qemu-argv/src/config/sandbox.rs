//! QEMU's own seccomp filter.

use serde::{Deserialize, Serialize};

/// The groups of system calls that QEMU gives up. All are denied by default, except those that a device requires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
#[expect(clippy::struct_excessive_bools, reason = "each is a switch of QEMU's -sandbox option")]
pub struct Sandbox {
    /// Whether there is a filter (Linux).
    pub enabled: bool,
    /// Whether QEMU may start programs, regardless of the devices.
    pub allow_spawn: bool,
    /// Whether programs it starts may gain privileges, regardless of the devices.
    pub allow_elevate: bool,
    /// Whether QEMU may change its scheduling.
    pub allow_resource_control: bool,
    /// Whether QEMU may use obsolete system calls.
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
