//! The client against a peer that says what the test wants: the faults a real QEMU does not show.

#![expect(clippy::unwrap_used, reason = "what fails in a helper fails the test")]

mod agent;
mod commands;
mod descriptors;
mod ends;
mod events;
mod greeting;
mod peer;
mod random;
#[cfg(feature = "tracing")]
mod traces;
