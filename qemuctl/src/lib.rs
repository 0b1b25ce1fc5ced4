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
//! | to | see |
//! |---|---|
//! | describe a machine, or read a file that does | [`config`] |
//! | launch or attach to one, wait, stop it | [`Instance`], [`LaunchOptions`] |
//! | change it while it runs: plug, resize, throttle, take a screenshot | [`Instance`], [`control`] |
//! | use its serial console and its guest agent | [`guest`] |
//! | send any QMP command | [`Instance::execute`], [`qmp_proto`] |
//! | know what went wrong | [`Error`], [`error`] |
//! | do all this without an async runtime | [`blocking`] |
//! | find what runs on this host, and clean up after what was killed | [`runtime`] |
//! | keep machines that exist while they are off, disk images and snapshots | [`home`], [`image`], [`snapshot`] |
//!
//! # Features
//!
//! Libraries should use `default-features = false` and add what they use:
//!
//! | feature | adds |
//! |---|---|
//! | `blocking` (default) | the module [`blocking`] |
//! | `files` | configs in TOML and JSON files: [`ConfigFile`](config::ConfigFile) |
//! | `home` | the module [`home`]; includes `files` |
//! | `image` | the modules [`image`] and [`snapshot`], and [`Instance::save`] |
//! | `provision` (default) | the section `guest` of a config: guests that one can log in to |
//! | `png` | screenshots from a QEMU that was built without PNG |
//! | `tracing` | spans and events of launches, states and ends |
//! | `schema` | the JSON Schema of config files |
//! | `cli` (default) | the program `qemuctl`; includes `files`, `home`, `image`, `png` and `provision` |
//!
//! ```no_run
//! use std::time::Duration;
//! use qemuctl::prelude::*;
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

// The first, so that its methods are the first on the page of `Instance`.
pub mod launch;

mod attach;
#[cfg(feature = "blocking")]
pub mod blocking;
mod channel;
pub mod config;
pub mod control;
pub mod error;
mod events;
pub mod guest;
#[cfg(feature = "home")]
pub mod home;
#[cfg(feature = "image")]
pub mod image;
mod instance;
pub mod prelude;
mod reason;
pub mod runtime;
mod saved;
#[cfg(feature = "image")]
pub mod snapshot;
mod state;
mod supervise;
mod trace;

pub use config::VmConfig;
pub use control::StopOutcome;
pub use error::Error;
pub use events::Subscription;
pub use guest::{Agent, Console, Exec};
pub use instance::{Instance, Ownership};
pub use launch::{LaunchOptions, SecretSource};
#[doc(inline)]
pub use qemu_discovery::process::{ProcessExit, ResourceUsage};
pub use reason::ExitReason;
pub use saved::SavedState;
pub use state::State;
pub use supervise::Exit;

pub use {qemu_argv, qemu_discovery, qmp_client, qmp_proto};

/// Runs the README's example as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
struct Readme;

/// Runs the examples for users of the Go library as doctests.
#[cfg(all(doctest, feature = "blocking"))]
#[doc = include_str!("../docs/from-go.md")]
struct FromGo;
