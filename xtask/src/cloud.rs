//! `cargo xtask login`: the tests of logging in to systems as they are installed, which take minutes to boot.
//!
//! The images are made by Debian's `mmdebstrap`, which is unpacked and not installed: `cloud` has cloud-init, `plain`
//! has nothing but systemd to set it up. Each is a file system, a kernel and an initramfs. Both need root.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use crate::apt::{self, Archive, unpack};
use crate::{places, qemus, run, system, test};

/// The release of Debian that the images are made of.
const SUITE: &str = "trixie";
/// Counted up when the code that makes an image changes what comes out.
const FORMAT: u32 = 1;
/// The size of the file systems.
const SIZE: &str = "2G";

/// What every image has.
const COMMON: [&str; 7] =
    ["systemd-sysv", "linux-image-amd64", "openssh-server", "sudo", "dbus", "udev", "iproute2"];

/// An image, what it has in addition, and commands that finish it (`$1` is its root directory).
struct Image {
    name: &'static str,
    packages: &'static [&'static str],
    hooks: &'static [&'static str],
}

const IMAGES: [Image; 2] = [
    Image { name: "cloud", packages: &["cloud-init", "netplan.io", "libpam-systemd"], hooks: &[] },
    Image {
        name: "plain",
        packages: &[],
        hooks: &[
            "printf '[Match]\\nName=en*\\n\\n[Network]\\nDHCP=ipv4\\n' > \"$1/etc/systemd/network/80-dhcp.network\"",
            "chroot \"$1\" systemctl enable systemd-networkd",
        ],
    },
];

/// Make two Debian images, and run the tests that log in to them: some minutes without KVM
#[derive(clap::Args)]
pub struct Args {
    /// Run only those with this in their name
    name: Option<String>,
}

pub fn run(args: &Args) -> Result<()> {
    system::ensure()?;
    qemus::ensure(&[]).context("cannot set up the QEMU versions")?;
    ensure()?;
    test::run_target("logins", args.name.as_deref())
}

/// Makes the images where they are not there yet.
fn ensure() -> Result<()> {
    for image in &IMAGES {
        let inputs =
            format!("format {FORMAT}\nsuite {SUITE}\npackages {}\n{:?}\n", packages(image), image.hooks);
        let dir = places::cloud()?.join(image.name);
        places::made(&dir, &inputs, |staged| {
            eprintln!("image {}: making it of Debian {SUITE}", image.name);
            make(image, staged).with_context(|| format!("cannot make the image {}", image.name))
        })?;
    }
    Ok(())
}

fn packages(image: &Image) -> String {
    [&COMMON[..], image.packages].concat().join(",")
}

fn make(image: &Image, staged: &Path) -> Result<()> {
    if !nix::unistd::geteuid().is_root() {
        bail!("mmdebstrap has to change owners and to enter the image: run this as root");
    }
    let tool = mmdebstrap()?;
    let tar = staged.join("root.tar");
    let mut make = Command::new(&tool);
    make.args(["--quiet", "--mode=root", "--variant=minbase", "--aptopt=Apt::Install-Recommends \"false\""]);
    make.arg(format!("--include={}", packages(image)));
    make.args(image.hooks.iter().map(|hook| format!("--customize-hook={hook}")));
    run::run(make.arg(SUITE).arg(&tar).arg(apt::mirror()?))?;
    let root = staged.join("root");
    fs::create_dir(&root).context("cannot create the image's root")?;
    run::run(Command::new("tar").arg("--extract").arg("--directory").arg(&root).arg("--file").arg(&tar))?;
    for (prefix, name) in [("vmlinuz-", "vmlinuz"), ("initrd.img-", "initrd")] {
        let from = first(&root.join("boot"), prefix)?;
        fs::copy(&from, staged.join(name)).with_context(|| format!("cannot copy {}", from.display()))?;
    }
    let disk = staged.join("root.raw");
    run::run(Command::new("mke2fs").args(["-q", "-t", "ext4", "-d"]).arg(&root).arg(&disk).arg(SIZE))?;
    fs::remove_file(&tar).context("cannot remove the archive")?;
    places::remove(&root)
}

/// The program, unpacked in the cache.
fn mmdebstrap() -> Result<PathBuf> {
    let dir = places::cache()?.join("apt").join("mmdebstrap");
    let _lock = places::lock(&dir)?;
    let unpacked = dir.join("unpacked");
    let program = unpacked.join("usr/bin/mmdebstrap");
    if !program.exists() {
        let apt = Archive::open(&dir, SUITE, "amd64")?;
        unpack(&apt.fetch_one("mmdebstrap")?, &unpacked)?;
    }
    Ok(program)
}

/// The first entry of `dir` whose name begins with `prefix`.
fn first(dir: &Path, prefix: &str) -> Result<PathBuf> {
    let entries = fs::read_dir(dir).with_context(|| format!("cannot list {}", dir.display()))?;
    let mut paths = entries.flatten().map(|entry| entry.path());
    let is_it =
        |path: &PathBuf| path.file_name().is_some_and(|name| name.to_string_lossy().starts_with(prefix));
    paths.find(is_it).with_context(|| format!("{} has no {prefix}*", dir.display()))
}
