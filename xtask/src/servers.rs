//! `cargo xtask servers`: the servers and switches that the tests start at the other end of disks and networks.
//!
//! Debian's packages, unpacked beside the QEMUs and never installed: no daemon is started, no user is made, nothing of
//! the system is touched. Each test starts what it needs with a configuration of its own.
//!
//! Ceph is a set of its own: its packages are large and serve `cargo xtask ceph` alone.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

use crate::apt::{Archive, unpack};
use crate::bind::{Patcher, file_name, host, is_elf, list};
use crate::places;

/// The release of Debian they come from: the first with a passt that QEMU's `-netdev passt` can start.
const SUITE: &str = "trixie";

/// Where the packages put programs that the tests, or those programs, start.
const DIRS: [&str; 3] = ["usr/bin", "usr/sbin", "usr/lib/openssh"];

/// Counted up when the code that sets them up changes what comes out.
const FORMAT: u32 = 2;

/// Packages that are unpacked together.
struct Set {
    name: &'static str,
    packages: &'static [&'static str],
    /// The programs of theirs that are started.
    programs: &'static [&'static str],
    /// Where they are unpacked.
    place: fn() -> Result<PathBuf>,
}

const SERVERS: Set = Set {
    name: "servers",
    packages: &[
        "iproute2",       // ip: interfaces of a network namespace
        "openssh-server", // sshd: disks over SSH
        "openssl",        // certificates
        "passt",          // user-mode networking
        "patchelf",       // binds them to their place
        "socat",          // TLS in front of a web server
        "tgt",            // tgtd: iSCSI targets
        "vde-switch",     // virtual distributed Ethernet
    ],
    programs: &[
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
    ],
    place: places::servers,
};

const CEPH: Set = Set {
    name: "ceph",
    packages: &["ceph-common", "ceph-mon", "ceph-osd", "patchelf"],
    programs: &["ceph-authtool", "ceph-mon", "ceph-osd", "monmaptool", "rbd"],
    place: places::ceph,
};

/// Unpack the servers that the tests start, where they are not there yet
#[derive(clap::Args)]
pub struct Args {
    /// Ceph's as well: 130 MB to fetch, 400 MB unpacked
    #[arg(long)]
    ceph: bool,
}

pub fn run(args: &Args) -> Result<()> {
    ensure()?;
    if args.ceph { ensure_ceph() } else { Ok(()) }
}

/// Sets the servers of the ordinary tests up where they are not there yet.
pub fn ensure() -> Result<()> {
    SERVERS.ensure()
}

/// Sets Ceph's programs up where they are not there yet.
pub fn ensure_ceph() -> Result<()> {
    CEPH.ensure()
}

impl Set {
    fn ensure(&self) -> Result<()> {
        let host = host()?;
        let prefix = (self.place)()?;
        let inputs = format!("format {FORMAT}\nsuite {SUITE}\npackages {}\n", self.packages.join(" "));
        places::made(&prefix, &inputs, |staged| {
            eprintln!("{}: fetching from Debian {SUITE}", self.name);
            let dir = places::cache()?.join("apt").join(self.name);
            let _lock = places::lock(&dir)?;
            let apt = Archive::open(&dir, SUITE, host.debian)?;
            for deb in apt.fetch_closure(self.packages)? {
                unpack(&deb, staged)?;
            }
            apt.clean()?;
            let patcher = Patcher { staged, prefix: &prefix, host: &host };
            patcher.unhide(&staged.join("usr/lib").join(host.triplet))?;
            let programs = staged.join("programs");
            fs::create_dir(&programs).with_context(|| format!("cannot create {}", programs.display()))?;
            let dirs = DIRS.map(|dir| staged.join(dir));
            dirs.iter().filter(|dir| dir.is_dir()).try_for_each(|dir| self.take(dir, &programs, &patcher))
        })
    }

    /// Moves the programs of `from` to one directory and binds them to where that is going to be.
    fn take(&self, from: &Path, programs: &Path, patcher: &Patcher<'_>) -> Result<()> {
        for program in list(from)? {
            let name = file_name(&program);
            if self.programs.contains(&name.as_str()) && !program.is_symlink() && is_elf(&program)? {
                let bound = programs.join(&name);
                fs::rename(&program, &bound).with_context(|| format!("cannot move {}", program.display()))?;
                patcher.bind(&bound)?;
            }
        }
        Ok(())
    }
}
