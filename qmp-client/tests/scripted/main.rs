//! The client against a peer that says what the test wants: the faults a real QEMU does not show.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod agent;
mod commands;
mod descriptors;
mod ends;
mod events;
#[cfg(feature = "testing")]
mod fake;
mod greeting;
#[cfg(all(feature = "job", feature = "testing"))]
mod jobs;
mod peer;
mod programs;
mod random;
#[cfg(feature = "testing")]
mod reconnecting;
mod stale;
#[cfg(feature = "tracing")]
mod traces;
