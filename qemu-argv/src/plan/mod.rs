//! Decides every id, address and descriptor before anything is rendered.

pub mod pci;
pub mod topology;
