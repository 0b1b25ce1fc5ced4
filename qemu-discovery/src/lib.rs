//! Finds QEMU programs, firmware, accelerators and running machines, and their capabilities.
//!
//! This crate never launches a user's machine. It starts QEMU only without a machine, to query its capabilities, and
//! with a test guest of 400 bytes, to check whether an accelerator works. The results are cached in the user's cache
//! directory, since they take a tenth of a second or more and rarely change.
//!
//! Use it to choose a QEMU and an accelerator, to check a host, or to list running machines. To start a machine, use
//! `qemuctl`, which is based on this crate and supports Linux.
//!
//! ```no_run
//! # async fn example() -> Result<(), qemu_discovery::DiscoveryError> {
//! use qemu_argv::{AccelChoice, Arch, Cpu};
//! use qemu_discovery::{accel, find_binary, probe};
//!
//! let binary = find_binary(Arch::X86_64, None)?;
//! let probe = probe(&binary).await?;
//! let acceleration = accel::choose(AccelChoice::Auto, &probe, "q35", &Cpu::default()).await?;
//! println!("QEMU {} with {}: {}", probe.version, acceleration.accelerator, acceleration.why);
//! let target = probe.target(Arch::X86_64, &acceleration);
//! # Ok(())
//! # }
//! ```

pub mod accel;
mod binary;
mod cache;
pub mod doctor;
mod error;
pub mod firmware;
pub mod instances;
mod obstacle;
mod places;
mod probe;
#[doc(hidden)]
pub mod process;
mod words;

pub use accel::Acceleration;
pub use binary::{all_binaries_in, find_binary, find_binary_in, find_tool_in};
pub use error::DiscoveryError;
pub use obstacle::Obstacle;
pub use places::Places;
pub use probe::{CpuModel, Machine, Probe, Property, probe, probe_in};

/// Runs the example of the README as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
