//! Opens TAP interfaces for QEMU, which then needs no privilege and no script for them.
//!
//! Nothing else is changed: whoever set up the host has made the interface, or makes it part of a bridge once it is there.

use std::fs::{File, OpenOptions};
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use nix::libc;

use crate::error::Error;

/// Where the kernel makes TAP interfaces.
const DEVICE: &str = "/dev/net/tun";

/// `struct ifreq` of Linux, as far as `TUNSETIFF` uses it.
#[repr(C)]
struct Request {
    /// The interface, ended by a zero; the kernel fills in the name it chose.
    name: [u8; libc::IFNAMSIZ],
    flags: libc::c_short,
    unused: [u8; 22],
}

const _: () = assert!(size_of::<Request>() == size_of::<libc::ifreq>());

nix::ioctl_readwrite_bad!(set_interface, libc::TUNSETIFF, Request);

/// Opens the queues of the interface `name`, or of a new one that the kernel names. It is made where it is not there,
/// and then goes when the last queue is closed.
pub(super) fn open(name: Option<&str>, queues: usize) -> Result<Vec<OwnedFd>, Error> {
    let mut request = Request { name: [0; libc::IFNAMSIZ], flags: 0, unused: [0; 22] };
    // The plan has checked that it has at most 15 bytes.
    for (place, byte) in request.name.iter_mut().take(libc::IFNAMSIZ - 1).zip(name.unwrap_or("").bytes()) {
        *place = byte;
    }
    // As QEMU itself opens one: whole packets, each with what the guest left to do about it.
    let flags = libc::IFF_TAP | libc::IFF_NO_PI | libc::IFF_VNET_HDR;
    let flags = if queues > 1 { flags | libc::IFF_MULTI_QUEUE } else { flags };
    let mut opened = Vec::new();
    for _ in 0..queues {
        let device = OpenOptions::new().read(true).write(true).open(DEVICE);
        let device = device.map_err(|source| fail("open", DEVICE, source))?;
        // The kernel overwrites the flags, too.
        request.flags =
            libc::c_short::try_from(flags).map_err(|error| fail("open", DEVICE, io::Error::other(error)))?;
        attach(&device, &mut request).map_err(|source| {
            fail("open the TAP interface", name.unwrap_or("of the kernel's choice"), source)
        })?;
        opened.push(device.into());
    }
    Ok(opened)
}

#[expect(unsafe_code, reason = "no crate in use has a safe call for this")]
fn attach(device: &File, request: &mut Request) -> io::Result<()> {
    // SAFETY: the descriptor is open, and the request has the layout and the size that the kernel reads and writes.
    unsafe { set_interface(device.as_raw_fd(), request) }?;
    Ok(())
}

fn fail(action: &'static str, what: &str, source: io::Error) -> Error {
    Error::Io { action, path: Path::new(what).into(), source }
}
