//! What the guests are made of.

/// One guest: a directory of this name with `vmlinuz` and `initramfs`.
pub struct Guest {
    pub name: &'static str,
    /// Debian's name of the architecture.
    pub arch: &'static str,
    /// Debian's package that names the current kernel.
    pub kernel: &'static str,
    /// The kernel modules loaded at boot, beside those they depend on.
    pub at_boot: &'static [&'static [&'static str]],
    /// The kernel modules loaded when there is a device for them.
    pub on_demand: &'static [&'static [&'static str]],
}

/// Debian's release the guests are made of, whatever the host runs.
pub const SUITE: &str = "bookworm";

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
    "qemu_fw_cfg",
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
pub struct RootFile {
    pub path: &'static str,
    pub mode: u32,
    pub text: &'static str,
}

pub const ROOT_FILES: [RootFile; 10] = [
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
pub const PACKAGES: [&str; 3] = ["busybox-static", "qemu-guest-agent", "pciutils"];
pub const PROGRAMS: [&str; 2] = ["usr/sbin/qemu-ga", "usr/bin/lspci"];

/// Everything that decides what a guest is, as text: kept beside it, and compared as a whole.
pub fn inputs(guest: &Guest) -> String {
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
