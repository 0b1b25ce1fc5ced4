//! Turns each section of a configuration into parts, file by file under the section's name.
//!
//! Order is the configuration's, so that the same configuration is the same bytes. The one thing that QEMU asks for, that a bus
//! comes before what is on it, holds because controllers are rendered before their devices.

mod action;
mod address;
mod audio;
mod backend;
mod balloon;
mod block;
mod boot;
mod cdrom;
mod channel;
mod chardev;
mod cpu;
mod disk;
mod display;
mod firmware;
mod guest_events;
mod host_device;
mod iothread;
mod machine;
mod memory;
mod netdev;
mod network;
mod numa;
mod rng;
mod rtc;
mod secret;
mod serial;
mod share;
mod spice;
mod tables;
mod throttle;
mod tls;
mod tpm;
mod usb;
mod user_net;
mod video;
mod vm;
mod vnc;
mod vsock;
mod watchdog;

use crate::draft::Draft;
use crate::plan::NewDevice;

/// Renders the whole configuration.
pub(crate) fn all(draft: &mut Draft<'_>) {
    vm::names(draft);
    cpu::cpu(draft);
    secret::secrets(draft);
    tls::credentials(draft);
    iothread::iothreads(draft);
    firmware::firmware(draft);
    boot::boot(draft);
    tables::smbios(draft);
    tables::fw_cfg(draft);
    rtc::rtc(draft);
    throttle::groups(draft);
    vm::monitors(draft);
    chardev::chardevs(draft);
    usb::controllers(draft);
    disk::disks(draft);
    cdrom::cdroms(draft);
    network::networks(draft);
    display::display(draft);
    vnc::vnc(draft);
    spice::spice(draft);
    video::video(draft);
    audio::audio(draft);
    serial::serials(draft);
    channel::guest_agent(draft);
    channel::spice_agent(draft);
    channel::channels(draft);
    usb::devices(draft);
    balloon::balloon(draft);
    rng::rng(draft);
    watchdog::watchdog(draft);
    guest_events::pvpanic(draft);
    guest_events::vmgenid(draft);
    guest_events::debug_exit(draft);
    tpm::tpm(draft);
    vsock::vsock(draft);
    share::shares(draft);
    host_device::host_devices(draft);
    host_device::others(draft);
    action::actions(draft);
    // What devices asked of the board, of memory and of the sandbox is known only now.
    memory::memory(draft);
    numa::nodes(draft);
    vm::sandbox(draft);
    machine::machine(draft);
    vm::run(draft);
}

/// Renders the one device that the draft's configuration has.
pub(crate) fn one(draft: &mut Draft<'_>, device: NewDevice<'_>) {
    match device {
        NewDevice::Disk(_) => {
            throttle::groups(draft);
            disk::disks(draft);
        }
        NewDevice::Cdrom(_) => cdrom::cdroms(draft),
        NewDevice::Network(_) => network::networks(draft),
        NewDevice::Usb(_) => usb::devices(draft),
        NewDevice::Channel(_) => channel::channels(draft),
        NewDevice::Host(_) => host_device::host_devices(draft),
        NewDevice::Other(_) => host_device::others(draft),
    }
}
