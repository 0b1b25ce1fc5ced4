//! Turns each section of a configuration into parts, file by file under the section's name.
//!
//! Order matters little to QEMU, since a device that names a bus comes after it by the topology's order, but it is always the
//! configuration's, so that the same configuration is the same bytes.

mod agent;
mod block;
mod boot;
mod chardev;
mod cpu;
mod disk;
mod iothread;
mod machine;
mod memory;
mod netdev;
mod network;
mod rng;
mod secret;
mod serial;
mod throttle;
mod tls;
mod video;
mod vm;

use crate::draft::Draft;

/// Renders the whole configuration.
pub(crate) fn all(draft: &mut Draft<'_>) {
    vm::names(draft);
    cpu::cpu(draft);
    boot::boot(draft);
    secret::secrets(draft);
    tls::credentials(draft);
    iothread::iothreads(draft);
    throttle::groups(draft);
    vm::monitors(draft);
    chardev::chardevs(draft);
    disk::disks(draft);
    network::networks(draft);
    video::video(draft);
    serial::serials(draft);
    agent::guest_agent(draft);
    rng::rng(draft);
    // What devices asked of the board and of memory is known only now.
    memory::memory(draft);
    vm::sandbox(draft);
    machine::machine(draft);
    vm::run(draft);
}
