//! A pure function from a machine's description to QEMU's command line.
//!
//! `VmConfig` says what a machine should be, [`plan`](fn@plan) decides every name, address and descriptor and finds every
//! mistake before QEMU could, and the [`Plan`] says the command line. The same input gives the same bytes.
//!
//! This crate never opens a path, reads a variable or a clock, starts a process or panics; what it must know of the
//! outside comes in through [`Target`] and [`Endpoints`]. Values travel as JSON where QEMU takes JSON, and with commas
//! doubled elsewhere: no name, path or text can become an option. Secrets are handed over by descriptor, never by argument.
//!
//! Take it where something else starts QEMU: a service manager, a scheduler, a container. To start and watch QEMU, take
//! `qemuctl`, which uses this crate. The feature `schema` has the JSON Schema of a configuration file, the feature `import`
//! makes a config of a command line.
//!
//! ```
//! use qemu_argv::{Arch, Disk, Endpoints, Memory, Network, Size, Target, Version, VmConfig, plan};
//!
//! let config = VmConfig {
//!     name: Some("web".into()),
//!     memory: Memory::new(Size::gib(2)),
//!     disks: vec![Disk::file("/vm/web, the first.qcow2")],
//!     networks: vec![Network::default()],
//!     ..VmConfig::default()
//! };
//! let target = Target::new(Version::new(10, 0), Arch::X86_64);
//! let plan = plan(&config, &target, &Endpoints::default())?;
//! let disk = plan.devices().find(|device| device.id == "disk0").expect("has a disk");
//! assert_eq!(disk.arguments().to_json(), concat!(
//!     r#"{"driver":"virtio-blk-pci","id":"disk0","bus":"rp1","addr":"0x0","drive":"disk0"}"#,
//! ));
//! println!("qemu-system-{} {}", plan.arch(), plan.command_line());
//! # Ok::<(), qemu_argv::PlanError>(())
//! ```
//!
#![doc = include_str!("seed.md")]

mod config;
mod endpoints;
mod error;
mod flag_options;
#[cfg(feature = "import")]
pub mod import;
mod name;
pub mod plan;
mod planner;
mod qemu_target;
mod render;
#[cfg(feature = "schema")]
mod schema;
#[cfg(feature = "schema")]
mod schema_forms;
pub mod topology;
mod value;

pub use config::*;
pub use endpoints::Endpoints;
pub use error::{Fault, PlanError, Problem};
pub use flag_options::FLAG_OPTIONS;
pub use plan::{
    Addition, BlockNode, Bundle, CharNode, CliOption, Device, FdRole, FdSlot, Netdev, Object, OptionValue,
    Owner, PartKind, PartRef, Plan, PlannedSocket, QmpCommand, Removal, SocketRole,
};
pub use planner::{NewDevice, plan, replan};
pub use qemu_target::{
    Accelerator, Arch, Drivers, ParseArchError, ParseVersionError, Target, TargetCpu, Version,
};
pub use render::CommandLine;
#[cfg(feature = "schema")]
pub use schema::json_schema;
pub use topology::pci::PciAddress;
pub use value::{Props, Value};

/// Runs the example of the README as a doctest.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
