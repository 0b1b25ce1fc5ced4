//! Turns a machine description into QEMU's command line, as a pure function.
//!
//! `VmConfig` describes a machine. [`plan`](fn@plan) assigns all ids, addresses and file descriptors and reports all
//! mistakes before QEMU could, and the [`Plan`] returns the command line. The output is deterministic.
//!
//! No I/O, no clock, no environment variables, no processes, no panics; [`Target`] and [`Endpoints`] contain what it
//! needs to know. Values are passed as JSON where QEMU accepts JSON, and with doubled commas elsewhere, so no name,
//! path or text can become an option. Secrets are passed by file descriptor, never as arguments.
//!
//! Use it if something else starts QEMU, such as a service manager, a scheduler or a container. To start and supervise
//! QEMU, use `qemuctl`, which is based on this crate. The feature `schema` provides the JSON Schema of a config file;
//! the feature `import` makes a config of a command line.
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

pub mod config;
mod endpoints;
mod error;
mod flag_options;
#[cfg(feature = "import")]
pub mod import;
mod name;
pub mod plan;
mod planner;
mod property_kinds;
mod qemu_target;
mod render;
#[cfg(feature = "schema")]
mod schema;
#[cfg(feature = "schema")]
mod schema_forms;
pub mod topology;
mod value;

#[doc(no_inline)]
pub use config::*;
pub use endpoints::Endpoints;
pub use error::{Fault, PlanError, Problem};
pub use flag_options::FLAG_OPTIONS;
pub use plan::{
    BlockNode, Bundle, CharNode, CliOption, Device, FdRole, FdSlot, HotplugPlan, Netdev, Object, OptionValue,
    Owner, PartKind, PartRef, Plan, PlannedSocket, QmpCommand, SocketRole, UnplugPlan,
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
