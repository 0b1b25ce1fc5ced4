//! What QEMU does when the guest panics, reboots, powers off or hangs.

use serde::{Deserialize, Serialize};

/// What QEMU does on events of the guest. Each defaults to QEMU's own default.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Actions {
    /// When the guest panics.
    pub panic: Option<PanicAction>,
    /// When the guest reboots.
    pub reboot: Option<RebootAction>,
    /// When the guest powers off.
    pub shutdown: Option<ShutdownAction>,
    /// When the watchdog expires.
    pub watchdog: Option<WatchdogAction>,
}

/// What happens when the guest panics.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum PanicAction {
    /// The VM is paused.
    Pause,
    /// QEMU exits, or the VM is paused, according to `shutdown`.
    Shutdown,
    /// QEMU exits with code 1.
    ExitFailure,
    /// Nothing.
    None,
}

/// What happens when the guest reboots.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RebootAction {
    /// The guest reboots.
    Reset,
    /// The reboot is treated like a power-off.
    Shutdown,
}

/// What happens when the guest powers off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum ShutdownAction {
    /// QEMU ends.
    Poweroff,
    /// The VM is paused, and QEMU keeps running.
    Pause,
}

/// What happens when the watchdog expires.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WatchdogAction {
    /// The machine is reset.
    Reset,
    /// The guest is asked to shut down.
    Shutdown,
    /// QEMU ends.
    Poweroff,
    /// The VM is paused.
    Pause,
    /// A message is printed.
    Debug,
    /// Nothing.
    None,
    /// The guest gets a non-maskable interrupt.
    InjectNmi,
}
