//! Launches, attaches to, watches and controls QEMU virtual machines.
//!
//! [`Instance`] is the handle to a VM: [`Instance::start`] plans and launches a [`VmConfig`], ties QEMU to this process
//! and reports its state, its events and why it ended. There is no daemon. A failed launch reports QEMU's own error
//! messages at once, and leaves nothing behind.
//!
//! This crate describes neither devices (see `qemu-argv`) nor QMP commands (see `qmp-proto`): it connects them to a
//! process.
//!
//! Use it to run VMs from a program, such as a test rig, a CI runner or an emulator farm. If something else starts
//! QEMU, use only `qemu-argv`; if QEMU is already running and you only need QMP, use only `qmp-client`. For fleets of
//! hosts, networks and storage pools use libvirt.
//!
//! Features: `blocking` (default) is the module `blocking`, for programs without an async runtime; `cli` (default) is
//! the program `qemuctl`; `provision` (default) sets up guests as the section `guest` of a config says. Libraries should use `default-features = false`.
//!
//! ```no_run
//! use std::time::Duration;
//! use qemuctl::{Disk, Instance, VmConfig};
//!
//! # async fn example() -> Result<(), qemuctl::Error> {
//! let vm = Instance::start(&VmConfig {
//!     name: Some("first".into()),
//!     disks: vec![Disk::file("disk.qcow2")],
//!     ..VmConfig::default()
//! })
//! .await?;
//! println!("{} is {}", vm.name(), vm.state());
//! let outcome = vm.stop(Duration::from_secs(30)).await?;
//! println!("{outcome}");
//! # Ok(())
//! # }
//! ```

mod attach;
#[cfg(feature = "blocking")]
pub mod blocking;
mod channel;
pub mod config;
pub mod control;
mod error;
mod events;
pub mod guest;
pub mod home;
pub mod image;
mod instance;
pub mod launch;
mod reason;
pub mod runtime;
mod state;
mod supervise;
mod trace;

pub use control::{
    Authentication, BalloonStats, ClientStream, DiskError, DiskStats, Expiry, ForwardedPort, GuestAnswer,
    IoBurst, IoLimits, MouseButton, NetworkInterface, ProcessStats, Stats, StopOutcome, StopStep, TapStats,
    VcpuStats,
};
pub use error::{Cause, Error, LaunchFailure, Phase, explain};
pub use events::Subscription;
pub use guest::{
    Agent, Console, ConsoleReader, CopyReport, Exec, ExecOutput, GuestChecksum, GuestEnd, GuestProcess,
    GuestSignal, Match, Output,
};
pub use instance::{Instance, Ownership};
pub use launch::{LaunchOptions, SecretSource};
#[doc(inline)]
pub use qemu_discovery::process::{ProcessExit, ResourceUsage};
pub use reason::ExitReason;
pub use state::State;
pub use supervise::Exit;

pub use qemu_argv::*;
pub use qmp_client::{ClientError, Events, EventsError, Job, JobEnd, JobError};
pub use {qemu_argv, qemu_discovery, qmp_client, qmp_proto};

/// Runs the README's example as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// Runs the examples for users of the Go library as doctests.
#[cfg(all(doctest, feature = "blocking"))]
#[doc = include_str!("../docs/from-go.md")]
struct FromGo;
