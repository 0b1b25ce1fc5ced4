//! Tests that drive a real QEMU. They fail, saying what is missing, where it is not there.

mod agent_types;
mod argv;
mod blocking;
mod boot_sector;
mod cli;
mod client;
mod control;
mod defects;
mod detached;
mod discovery;
mod discovery_accel;
mod discovery_firmware;
mod discovery_instances;
mod discovery_killed;
mod faults;
mod guest_agent;
mod guest_control;
mod guest_copies;
mod hotplug;
mod launcher;
mod lifecycle;
mod linux;
mod networks;
mod own_process;
mod readme;
mod secrets;
mod seed_rows;
mod servers;
mod spice;
mod storage;
mod support;
mod sync;
mod topology;
#[cfg(feature = "tracing")]
mod traces;
mod vnc;
