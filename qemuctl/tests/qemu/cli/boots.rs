//! What is booted, and drives that guests see.

use super::guest::{DEAF, POWER_OFF, config, disk};
use super::program::Place;
use crate::support::{VERSIONS, guest_file, qemu};

/// A CD-ROM image that boots a guest of one sector (El Torito, no emulation).
fn iso(code: &[u8]) -> Vec<u8> {
    const SECTOR: usize = 2048;
    let mut image = vec![0; 24 * SECTOR];
    let mut put = |sector: usize, offset: usize, bytes: &[u8]| {
        let at = sector * SECTOR + offset;
        image[at..at + bytes.len()].copy_from_slice(bytes);
    };
    // The primary volume, the boot record, the end of the list.
    put(16, 0, b"\x01CD001\x01");
    put(17, 0, b"\0CD001\x01EL TORITO SPECIFICATION");
    put(17, 71, &19_u32.to_le_bytes());
    put(18, 0, b"\xffCD001\x01");
    // The catalog: one that is valid by its checksum, and the default entry.
    put(19, 0, &[1, 0]);
    put(19, 28, &[0xaa, 0x55, 0x55, 0xaa]);
    put(19, 32, &[0x88, 0]);
    put(19, 38, &4_u16.to_le_bytes());
    put(19, 40, &20_u32.to_le_bytes());
    put(20, 0, &disk(code)[..512]);
    image
}

#[test]
fn file_is_what_boots_and_boot_says_otherwise() {
    let place = Place::new();
    place.write("rescue.iso", iso(POWER_OFF));
    // It says R and stays: it must not be booted.
    place.write("installed.raw", disk(DEAF));
    place.write("other.raw", disk(POWER_OFF));
    place.write("blank.iso", vec![0; 1 << 20]);
    for version in VERSIONS {
        let program = qemu(version, "qemu-system-x86_64").display().to_string();
        let ways: [&[&str]; 4] = [
            &["rescue.iso", "--disk", "installed.raw"],
            &["other.raw", "--disk", "installed.raw", "--cdrom", "blank.iso"],
            &["installed.raw", "--cdrom", "rescue.iso", "--boot", "cdrom"],
            &["blank.iso", "--disk", "other.raw", "--boot", "disk"],
        ];
        for way in ways {
            let place_args =
                ["--arch", "x86_64", "--qemu", &program, "--accel", "tcg", "-m", "64M", "--no-network"];
            let answer = place.qemuctl(&[&["run"], way, &place_args].concat());
            assert!(answer.code == Some(0) && answer.out.contains("R\n"), "{way:?} on {version}: {answer:?}");
        }
    }
    let program = qemu("10.0", "qemu-system-x86_64").display().to_string();
    let with = |command, boot| {
        place.qemuctl(&[command, "other.raw", "--boot", boot, "--accel", "tcg", "--qemu", &program])
    };
    let answer = with("check", "cdrom");
    assert!(answer.code == Some(2) && answer.err.contains("no CD-ROM drive"), "{answer:?}");
    let line = with("argv", "network").out;
    let network = line.lines().find(|line| line.contains("virtio-net")).expect("it has a network");
    assert!(network.contains("\"bootindex\":0"), "{line}");
    let line = with("argv", "menu").out;
    assert!(line.contains("menu=on"), "{line}");
}

/// The kernel of Debian's cloud images has no driver for AHCI.
#[test]
fn a_cloud_guest_sees_a_further_cdrom() {
    let place = Place::new();
    place.write("guest.raw", disk(DEAF));
    place.write("seed.iso", iso(DEAF));
    let kernel = guest_file("x86_64", "vmlinuz").display().to_string();
    let initrd = guest_file("x86_64", "initramfs").display().to_string();
    let boot = format!(
        "guest_agent = true\nboot = {{ kernel = \"{kernel}\", initrd = \"{initrd}\", append = \"console=ttyS0 quiet\" }}\ndisks ="
    );
    place.write("vm.toml", config("vm").replace("disks =", &boot).replace("64MiB", "512MiB"));
    let started = place.qemuctl(&["start", "vm.toml", "--cdrom", "seed.iso"]);
    assert_eq!(started.code, Some(0), "{started:?}");
    let script = "modprobe sr_mod; until [ -e /sys/block/sr0 ]; do sleep 0.1; done; cat /sys/block/sr0/size";
    let answer = place.qemuctl(&["exec", "vm", "--wait", "240", "--", "sh", "-c", script]);
    assert_eq!((answer.code, answer.out.as_str()), (Some(0), "96\n"), "{answer:?}");
    place.qemuctl(&["kill", "vm"]);
}
