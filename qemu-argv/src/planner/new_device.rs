//! What can be added to a machine that runs.

use crate::config::{Cdrom, Channel, Disk, HostDevice, Network, OtherDevice, UsbDevice};

/// A device for a running machine, described as it would be in its configuration.
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum NewDevice<'a> {
    /// A disk.
    Disk(&'a Disk),
    /// A CD-ROM drive; only SCSI ones can come while the machine runs.
    Cdrom(&'a Cdrom),
    /// A network interface.
    Network(&'a Network),
    /// A USB device.
    Usb(&'a UsbDevice),
    /// A channel over virtio-serial.
    Channel(&'a Channel),
    /// A PCI device of the host.
    Host(&'a HostDevice),
    /// Any other.
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
