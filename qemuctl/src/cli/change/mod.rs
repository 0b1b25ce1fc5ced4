//! Changes of a running VM: its ports, interfaces, USB devices, memory and CPUs. They are not written to the config.

pub(super) mod capacity;
pub(super) mod devices;
pub(super) mod forward;
