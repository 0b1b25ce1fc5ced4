//! Watchdogs.

use serde::{Deserialize, Serialize};

/// A watchdog. `actions.watchdog` sets what happens when it expires.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Watchdog {
    /// The model.
    pub model: WatchdogModel,
}

/// The model of a watchdog.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum WatchdogModel {
    /// Intel 6300ESB, PCI.
    #[default]
    I6300esb,
    /// iBASE 700, ISA.
    Ib700,
    /// The one in the chipset of `q35`.
    Itco,
    /// The one of s390x.
    Diag288,
}
