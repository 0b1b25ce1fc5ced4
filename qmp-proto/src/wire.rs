//! The envelope around commands, replies and events.

use serde::ser::SerializeMap;
use serde::{Deserialize, Serialize, Serializer};

use crate::generated::event::AnyEvent;

/// QEMU's class of an error. New classes are kept as they came.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub enum ErrorClass {
    /// Nearly every error.
    GenericError,
    /// The command does not exist, is disabled, or is not permitted now.
    CommandNotFound,
    /// The device is not active.
    DeviceNotActive,
    /// The device does not exist.
    DeviceNotFound,
    /// KVM lacks a needed capability.
    KVMMissingCap,
    /// A class that this crate does not know.
    #[serde(untagged)]
    Unknown(String),
}

/// When an event happened, by the host's clock. QEMU sends -1 in both members if it could not tell.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Timestamp {
    /// Whole seconds since 1970-01-01 UTC.
    pub seconds: i64,
    /// Microseconds within the second.
    pub microseconds: i64,
}

/// QEMU's version as the greeting and `query-version` tell it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct VersionInfo {
    /// The release.
    pub qemu: VersionTriple,
    /// The vendor's package version; empty for a plain build.
    pub package: String,
}

/// A release number such as 10.0.13.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct VersionTriple {
    /// The major release.
    pub major: i64,
    /// The minor release.
    pub minor: i64,
    /// The bug-fix release.
    pub micro: i64,
}

/// An event with the moment it happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TimedEvent {
    /// What happened.
    pub event: AnyEvent,
    /// When it happened, by the host's clock.
    pub timestamp: Timestamp,
}

impl TimedEvent {
    /// Joins an event with its time.
    pub fn new(event: AnyEvent, timestamp: Timestamp) -> Self {
        Self { event, timestamp }
    }
}

/// As QEMU sends it: `{"event": …, "data": …, "timestamp": …}`.
impl Serialize for TimedEvent {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        map.serialize_entry("event", self.event.name())?;
        self.event.write_data(&mut map)?;
        map.serialize_entry("timestamp", &self.timestamp)?;
        map.end()
    }
}
