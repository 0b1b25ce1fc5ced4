//! Finds QEMU binaries, firmware, accelerators and running machines, and tells what each can do.
//!
//! This crate looks and asks; it never launches a user's machine. What it starts itself are QEMUs that hold no guest of
//! anybody's: one without a machine that is asked about its abilities, and one with a guest of 400 bytes that shows
//! whether an accelerator runs guests. Answers are kept in the caller's cache folder, because they hold for long and
//! cost a tenth of a second or more.
//!
//! Take it to choose a QEMU and an accelerator, to look a host over, or to list what runs. To start a machine, take
//! `qemuctl`, which uses this crate; it runs on Linux.
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
