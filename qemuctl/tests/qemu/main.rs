//! Tests that drive a real QEMU. They fail, saying what is missing, where it is not there.

mod agent_types;
mod argv;
mod boot_sector;
mod cli;
mod client;
mod control;
mod defects;
mod detached;
mod discovery;
mod discovery_firmware;
mod discovery_instances;
mod faults;
mod launcher;
mod lifecycle;
mod linux;
mod own_process;
mod readme;
mod secrets;
mod servers;
mod storage;
mod support;
mod sync;
mod topology;
