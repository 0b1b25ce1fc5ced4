//! `cargo xtask guest`: small Linux guests for the demo and the tests.
//!
//! A guest is a kernel of Debian's and an initramfs of our own: busybox, the QEMU guest agent,
//! `lspci` and the kernel modules a virtual machine needs. It is made from packages that are
//! unpacked, never installed, so that any user can make it for any architecture. It prints
//! `guest ready` on its consoles when it has loaded its modules and started the agent.

mod build;
mod cpio;
mod modules;

use anyhow::{Context, Result, bail};

use crate::places;

/// Build the Linux guests for the demo and the tests, where they are not there yet
#[derive(clap::Args)]
pub struct Args {
    /// Guests to build; left out: all
    names: Vec<String>,
}

/// One guest: a directory of this name with `vmlinuz` and `initramfs`.
pub struct Guest {
    pub name: &'static str,
    /// Debian's name of the architecture.
    arch: &'static str,
    /// Debian's package that names the current kernel.
    kernel: &'static str,
    /// The kernel modules loaded at boot, beside those they depend on.
    at_boot: &'static [&'static [&'static str]],
    /// The kernel modules loaded when there is a device for them.
    on_demand: &'static [&'static [&'static str]],
}

/// Debian's release the guests are made of, whatever the host runs.
const SUITE: &str = "bookworm";

/// Counted up when the code that builds a guest changes what comes out.
const FORMAT: u32 = 1;

/// Every guest, at boot: the paravirtual devices a machine commonly has, the power button.
const VIRTUAL: &[&str] = &[
    "virtio_pci",
    "virtio_blk",
    "virtio_net",
    "virtio_console",
    "virtio_balloon",
    "virtio_rng",
    "button",
    "evdev",
];

/// Every guest, where there is a device for it.
const OPTIONAL: &[&str] = &[
    "virtio_scsi",
    "virtio_input",
    "virtio_mem",
    "virtiofs",
    "nvme",
    "sd_mod",
    "sr_mod",
    "isofs",
    "vfat",
    "nls_cp437",
    "nls_ascii",
    "vmw_vsock_virtio_transport",
];

/// What the cloud kernel is built without: disks and cards as in a real computer, shared folders.
const COMPUTER: &[&str] = &[
    "ahci",
    "e1000",
    "e1000e",
    "igb",
    "xhci_pci",
    "ehci_pci",
    "usb_storage",
    "uas",
    "usbhid",
    "hid_generic",
    "9p",
    "9pnet_virtio",
    "ext4",
    "virtio_gpu",
    "i6300esb",
];

/// The guests. The cloud kernel boots in half the time of the generic one, but has neither USB nor
/// AHCI nor 9p, and on aarch64 not the driver for the power button of a machine without firmware.
pub const GUESTS: [Guest; 3] = [
    Guest {
        name: "x86_64",
        arch: "amd64",
        kernel: "linux-image-cloud-amd64",
        at_boot: &[VIRTUAL],
        on_demand: &[OPTIONAL, &["pvpanic_pci", "ata_piix"]],
    },
    Guest {
        name: "aarch64",
        arch: "arm64",
        kernel: "linux-image-arm64",
        at_boot: &[VIRTUAL, &["gpio_keys"]],
        on_demand: &[OPTIONAL, COMPUTER],
    },
    Guest {
        name: "x86_64-generic",
        arch: "amd64",
        kernel: "linux-image-amd64",
        at_boot: &[VIRTUAL],
        on_demand: &[OPTIONAL, COMPUTER, &["pvpanic_pci", "ata_piix", "uhci_hcd", "psmouse"]],
    },
];

/// A file that is put into every guest as it is.
struct RootFile {
    path: &'static str,
    mode: u32,
    text: &'static str,
}

const ROOT_FILES: [RootFile; 10] = [
    RootFile { path: "init", mode: 0o755, text: include_str!("root/init") },
    RootFile { path: "usr/sbin/hotplug", mode: 0o755, text: include_str!("root/hotplug") },
    RootFile { path: "usr/sbin/lease", mode: 0o755, text: include_str!("root/lease") },
    RootFile { path: "usr/sbin/console", mode: 0o755, text: include_str!("root/console") },
    RootFile { path: "usr/sbin/shutdown", mode: 0o755, text: include_str!("root/shutdown") },
    RootFile { path: "etc/acpi/PWRF/00000080", mode: 0o755, text: include_str!("root/power-button") },
    RootFile { path: "etc/passwd", mode: 0o644, text: "root:x:0:0:root:/root:/bin/sh\n" },
    RootFile { path: "etc/group", mode: 0o644, text: "root:x:0:\n" },
    RootFile { path: "etc/shadow", mode: 0o600, text: "root:*:20000:0:99999:7:::\n" },
    RootFile {
        path: "etc/os-release",
        mode: 0o644,
        text: "ID=qemuctl-guest\nNAME=\"qemuctl test guest\"\nPRETTY_NAME=\"qemuctl test guest\"\nVERSION_ID=1\n",
    },
];

/// The packages whose programs a guest has, and those programs.
const PACKAGES: [&str; 3] = ["busybox-static", "qemu-guest-agent", "pciutils"];
const PROGRAMS: [&str; 2] = ["usr/sbin/qemu-ga", "usr/bin/lspci"];

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

/// Everything that decides what a guest is, as text: kept beside it, and compared as a whole.
fn inputs(guest: &Guest) -> String {
    use std::fmt::Write as _;
    let mut text = format!("format {FORMAT}\nsuite {SUITE}\narch {}\nkernel {}\n", guest.arch, guest.kernel);
    let lines = [("package", &PACKAGES[..]), ("program", &PROGRAMS[..])];
    let at_boot = guest.at_boot.iter().map(|names| ("module", *names));
    let on_demand = guest.on_demand.iter().map(|names| ("module on demand", *names));
    for (what, names) in lines.into_iter().chain(at_boot).chain(on_demand) {
        for name in names {
            writeln!(text, "{what} {name}").expect("writing to a string cannot fail");
        }
    }
    for file in &ROOT_FILES {
        writeln!(text, "file {} {:o}\n{}", file.path, file.mode, file.text)
            .expect("writing to a string cannot fail");
    }
    text
}

#[cfg(test)]
mod tests {
    use super::{GUESTS, inputs};

    #[test]
    fn guests_have_different_inputs() {
        let mut all: Vec<_> = GUESTS.iter().map(inputs).collect();
        all.sort();
        all.dedup();
        assert_eq!(all.len(), GUESTS.len());
    }
}
