//! What a machine should be: plain data, for Rust code and for TOML or JSON files alike.
//!
//! Every kind is an enum with its own data, every field is public and documented with its unit, an unknown field in
//! a file is an error. Nothing here is checked against a QEMU: [`plan`](fn@crate::plan) does that.

mod block;
mod boot;
mod chardev;
mod cpu;
mod disk;
mod flexible;
mod forward;
mod iothread;
mod machine;
mod memory;
mod netdev;
mod network;
mod rng;
mod secret;
mod serial;
mod size;
mod throttle;
mod tls;
mod video;
mod vm;

pub use block::*;
pub use boot::*;
pub use chardev::*;
pub use cpu::*;
pub use disk::*;
pub use forward::*;
pub use iothread::*;
pub use machine::*;
pub use memory::*;
pub use netdev::*;
pub use network::*;
pub use rng::*;
pub use secret::*;
pub use serial::*;
pub use size::*;
pub use throttle::*;
pub use tls::*;
pub use video::*;
pub use vm::*;
