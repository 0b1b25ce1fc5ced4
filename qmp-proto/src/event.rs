//! QEMU's events: one struct for the data of each, and one enum for them all.

use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::{Event, Timestamp};

macro_rules! events {
    ($($(#[$doc:meta])* $name:ident, $wire:literal { $($body:tt)* })*) => {
        $(
            $(#[$doc])*
            #[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
            #[non_exhaustive]
            pub struct $name { $($body)* }

            impl Event for $name {
                const NAME: &'static str = $wire;
            }
        )*

        /// Any QMP event, decoded; what is not known by name arrives whole.
        #[derive(Clone, Debug, PartialEq)]
        #[non_exhaustive]
        pub enum AnyEvent {
            $(
                #[doc = concat!("`", $wire, "`")]
                $name($name),
            )*
            /// An event without a type here, or whose data has an unexpected shape.
            Unknown {
                /// The name on the wire.
                name: String,
                /// The data as it came; an empty object if there was none.
                data: serde_json::Value,
            },
        }

        impl AnyEvent {
            /// The event's name on the wire.
            pub fn name(&self) -> &str {
                match self {
                    $(Self::$name(_) => $wire,)*
                    Self::Unknown { name, .. } => name,
                }
            }

            /// Decodes the data of the event `name`. What cannot be decoded becomes [`AnyEvent::Unknown`],
            /// so that no event is ever lost.
            pub fn decode(name: &str, data: &RawValue) -> Self {
                let known = match name {
                    $($wire => serde_json::from_str(data.get()).map(Self::$name).ok(),)*
                    _ => None,
                };
                known.unwrap_or_else(|| Self::Unknown {
                    name: name.to_owned(),
                    data: serde_json::from_str(data.get()).unwrap_or_default(),
                })
            }
        }
    };
}

events! {
    /// `RESET`: the machine was reset.
    Reset, "RESET" {
        /// Whether the guest asked for it.
        pub guest: bool,
        /// Why.
        pub reason: Option<String>,
    }
    /// `RESUME`: the virtual CPUs run again.
    Resume, "RESUME" {}
    /// `SHUTDOWN`: the machine was shut down.
    Shutdown, "SHUTDOWN" {
        /// Whether the guest asked for it.
        pub guest: bool,
        /// Why.
        pub reason: Option<String>,
    }
    /// `STOP`: the virtual CPUs stand still.
    Stop, "STOP" {}
}

/// An event and when it happened.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub struct TimedEvent {
    /// The event.
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
