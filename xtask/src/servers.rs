//! `cargo xtask servers`: the servers and switches that the tests start at the other end of disks and networks.
//!
//! Debian's packages, unpacked beside the QEMUs and never installed: no daemon is started, no user is made, nothing of
//! the system is touched. Each test starts what it needs with a configuration of its own.

use std::fs;
use std::path::Path;

use anyhow::{Context, Result};

use crate::apt::{Archive, unpack};
use crate::bind::{Patcher, file_name, host, is_elf, list};
use crate::places;

/// The release of Debian they come from: the first with a passt that QEMU's `-netdev passt` can start.
const SUITE: &str = "trixie";

const PACKAGES: &[&str] = &[
    "iproute2",       // ip: interfaces of a network namespace
    "openssh-server", // sshd: disks over SSH
    "openssl",        // certificates
    "passt",          // user-mode networking
    "patchelf",       // binds them to their place
    "socat",          // TLS in front of a web server
    "tgt",            // tgtd: iSCSI targets
    "vde-switch",     // virtual distributed Ethernet
];

/// Where the packages put programs that the tests, or those programs, start.
const DIRS: [&str; 3] = ["usr/bin", "usr/sbin", "usr/lib/openssh"];

const PROGRAMS: &[&str] = &[
    "ip",
    "openssl",
    "passt",
    "passt.avx2",
    "socat1",
    "ssh-add",
    "ssh-agent",
    "ssh-keygen",
    "sshd",
    "sshd-auth",
    "sshd-session",
    "tgtadm",
    "tgtd",
    "vde_switch",
];

/// Counted up when the code that sets them up changes what comes out.
const FORMAT: u32 = 2;

/// Unpack the servers that the tests start, where they are not there yet
#[derive(clap::Args)]
pub struct Args {}

/// Sets them up where they are not there yet.
pub fn ensure() -> Result<()> {
    let host = host()?;
    let prefix = places::servers()?;
    let inputs = format!("format {FORMAT}\nsuite {SUITE}\npackages {}\n", PACKAGES.join(" "));
    places::made(&prefix, &inputs, |staged| {
        eprintln!("servers: fetching from Debian {SUITE}");
        let dir = places::cache()?.join("apt").join("servers");
        let _lock = places::lock(&dir)?;
        let apt = Archive::open(&dir, SUITE, host.debian)?;
        for deb in apt.fetch_closure(PACKAGES)? {
            unpack(&deb, staged)?;
        }
        apt.clean()?;
        let patcher = Patcher { staged, prefix: &prefix, host: &host };
        patcher.unhide(&staged.join("usr/lib").join(host.triplet))?;
        let programs = staged.join("programs");
        fs::create_dir(&programs).with_context(|| format!("cannot create {}", programs.display()))?;
        DIRS.iter().try_for_each(|dir| take(&staged.join(dir), &programs, &patcher))
    })
}

/// Moves the programs of `from` to one directory and binds them to where that is going to be.
fn take(from: &Path, programs: &Path, patcher: &Patcher<'_>) -> Result<()> {
    for program in list(from)? {
        let name = file_name(&program);
        if PROGRAMS.contains(&name.as_str()) && !program.is_symlink() && is_elf(&program)? {
            let bound = programs.join(&name);
            fs::rename(&program, &bound).with_context(|| format!("cannot move {}", program.display()))?;
            patcher.bind(&bound)?;
        }
    }
    Ok(())
}
