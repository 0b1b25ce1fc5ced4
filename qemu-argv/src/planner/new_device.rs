//! Devices that can be hotplugged.

use crate::config::{Cdrom, Channel, Disk, HostDevice, Network, OtherDevice, UsbDevice};

/// A device for a running machine, described as in a config.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum NewDevice<'a> {
    /// A disk.
    Disk(&'a Disk),
    /// A CD-ROM drive; only SCSI drives can be hotplugged.
    Cdrom(&'a Cdrom),
    /// A network interface.
    Network(&'a Network),
    /// A USB device.
    Usb(&'a UsbDevice),
    /// A virtio-serial channel.
    Channel(&'a Channel),
    /// A PCI device of the host.
    Host(&'a HostDevice),
    /// Any other device.
    Other(&'a OtherDevice),
}

macro_rules! from_section {
    ($($variant:ident $section:ident),+) => {
        $(impl<'a> From<&'a $section> for NewDevice<'a> {
            fn from(section: &'a $section) -> Self {
                Self::$variant(section)
            }
        })+
    };
}
from_section!(
    Disk Disk, Cdrom Cdrom, Network Network, Usb UsbDevice, Channel Channel, Host HostDevice, Other OtherDevice
);
