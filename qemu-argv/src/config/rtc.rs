//! The real-time clock.

use serde::{Deserialize, Serialize};

/// The real-time clock.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Rtc {
    /// The time at startup: `utc`, `localtime`, or a date such as `2026-01-31T12:00:00`. Defaults to `utc`.
    pub base: Option<String>,
    /// The clock that drives it. Defaults to the host's.
    pub clock: Option<RtcClock>,
    /// Whether lost ticks are delivered later (x86), which Windows requires.
    pub catch_up: bool,
}

/// The clock that drives the real-time clock.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum RtcClock {
    /// The host's clock, with its adjustments.
    Host,
    /// The host's clock without adjustments.
    Rt,
    /// The guest's own time, which stops while the guest is paused.
    Vm,
}
