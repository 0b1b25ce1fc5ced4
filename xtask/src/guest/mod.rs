//! `cargo xtask guest`: small Linux guests for the demo and the tests.
//!
//! A guest is a kernel of Debian's and an initramfs of our own: busybox, the QEMU guest agent,
//! `lspci` and the kernel modules a virtual machine needs. It is made from packages that are
//! unpacked, never installed, so that any user can make it for any architecture. It prints
//! `guest ready` on its consoles when it has loaded its modules and started the agent.

mod build;
mod contents;
mod cpio;
mod modules;

use anyhow::{Context, Result, bail};

use crate::places;
use contents::{Guest, SUITE, inputs};

pub use contents::GUESTS;

/// Build the Linux guests for the demo and the tests, where they are not there yet
#[derive(clap::Args)]
pub struct Args {
    /// Guests to build; left out: all
    names: Vec<String>,
}

pub fn run(args: &Args) -> Result<()> {
    for name in &args.names {
        if !GUESTS.iter().any(|guest| guest.name == name) {
            bail!("there is no guest {name}; there are: {}", GUESTS.map(|guest| guest.name).join(", "));
        }
    }
    let wanted = |guest: &&Guest| args.names.is_empty() || args.names.iter().any(|name| name == guest.name);
    for guest in GUESTS.iter().filter(wanted) {
        ensure(guest)?;
    }
    Ok(())
}

/// Makes `guest` if it is not there or was made from something else than today's sources.
pub fn ensure(guest: &Guest) -> Result<()> {
    places::made(&places::guests()?.join(guest.name), &inputs(guest), |staged| {
        eprintln!("guest {}: building from {} of Debian {SUITE}", guest.name, guest.kernel);
        build::build(guest, staged).with_context(|| format!("cannot build the guest {}", guest.name))
    })
}
