//! Descriptions of machines: what a [`VmConfig`] is made of, and with the feature `files` the TOML and JSON files that
//! contain one ([`ConfigFile`]).
//!
//! ```
//! use qemuctl::config::{Boot, CharBackend, Cpu, Disk, Memory, Network, Size, VmConfig};
//!
//! let config = VmConfig {
//!     name: Some("web".into()),
//!     memory: Memory::new(Size::gib(2)),
//!     cpu: Cpu { count: Some(2), ..Cpu::default() },
//!     disks: vec![Disk::file("web.qcow2")],
//!     networks: vec![Network::default()],
//!     ..VmConfig::default()
//! };
//! # let _ = (config, Boot::default(), CharBackend::Pty);
//! ```

#[cfg(feature = "files")]
mod file;

#[cfg(feature = "files")]
pub use file::{ConfigError, ConfigFault, ConfigFile, Keep, Place, Restart, load, nearest, to_toml};
#[doc(inline)]
pub use qemu_argv::config::*;
