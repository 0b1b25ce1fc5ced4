//! Turns each section of a configuration into parts, file by file under the section's name.
//!
//! Order is the configuration's, so that the same configuration is the same bytes. What QEMU asks for, that a bus comes before what is
//! on it and an IOMMU before what it is for, is seen to when all is planned (`planner/order.rs`).

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
mod debug;
mod disk;
mod display;
mod extra;
mod firmware;
mod global;
mod guest;
mod guest_events;
mod host_device;
mod iothread;
mod machine;
mod memory;
mod monitor;
mod netdev;
mod network;
mod numa;
mod object;
mod provider;
mod replay;
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

use crate::config::VmConfig;
use crate::planner::NewDevice;
use crate::planner::builder::Builder;
#[cfg(feature = "import")]
pub(crate) use provider::provides;

/// Renders the whole configuration.
pub(crate) fn all(builder: &mut Builder<'_>, config: &VmConfig) {
    vm::names(builder, config);
    cpu::cpu(builder, config);
    secret::secrets(builder, config);
    tls::credentials(builder, config);
    iothread::iothreads(builder, config);
    object::objects(builder, config);
    global::globals(builder, config);
    firmware::firmware(builder, config);
    boot::boot(builder, config);
    tables::smbios(builder, config);
    tables::fw_cfg(builder, config);
    rtc::rtc(builder, config);
    throttle::groups(builder, config);
    vm::monitors(builder);
    chardev::chardevs(builder, config);
    debug::debug(builder, config);
    replay::replay(builder, config);
    monitor::monitors(builder, config);
    usb::controllers(builder, config);
    disk::disks(builder, config);
    cdrom::cdroms(builder, config);
    network::networks(builder, config);
    display::display(builder, config);
    vnc::vnc(builder, config);
    vnc::keyboard(builder, config);
    spice::spice(builder, config);
    video::video(builder, config);
    audio::audio(builder, config);
    serial::serials(builder, config);
    channel::guest_agent(builder, config);
    channel::spice_agent(builder, config);
    channel::channels(builder, config);
    usb::devices(builder, config);
    balloon::balloon(builder, config);
    rng::rng(builder, config);
    watchdog::watchdog(builder, config);
    guest_events::pvpanic(builder, config);
    guest_events::vmgenid(builder, config);
    guest_events::debug_exit(builder, config);
    tpm::tpm(builder, config);
    vsock::vsock(builder, config);
    share::shares(builder, config);
    guest::guest(builder, config);
    host_device::host_devices(builder, config);
    host_device::others(builder, config);
    action::actions(builder, config);
    // What devices asked of the board, of memory and of the sandbox is known only now.
    memory::memory(builder, config);
    numa::nodes(builder, config);
    numa::speeds(builder, config);
    vm::sandbox(builder, config);
    machine::machine(builder, config);
    vm::defaults(builder, config);
    vm::run(builder, config);
}

/// Renders one device that comes to a running machine.
pub(crate) fn one(builder: &mut Builder<'_>, device: NewDevice<'_>) {
    match device {
        NewDevice::Disk(disk) => disk::newcomer(builder, disk),
        NewDevice::Cdrom(cdrom) => cdrom::newcomer(builder, cdrom),
        NewDevice::Network(network) => network::newcomer(builder, network),
        NewDevice::Usb(usb) => usb::newcomer(builder, usb),
        NewDevice::Channel(channel) => channel::newcomer(builder, channel),
        NewDevice::Host(device) => host_device::newcomer(builder, device),
        NewDevice::Other(device) => host_device::other_newcomer(builder, device),
    }
}
