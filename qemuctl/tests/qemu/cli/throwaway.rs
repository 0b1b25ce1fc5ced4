//! Disks that are as before when the VM ends.

use std::process::Command;

use super::guest::{DEAF, config, disk};
use super::program::Place;
use crate::support::{VERSIONS, qemu};

/// Writes its first sector to the second one of its disk, and powers off.
const WRITER: &[u8] = &[
    0x31, 0xc0, 0x8e, 0xd8, 0x8e, 0xc0, 0xbb, 0x00, 0x7c, 0xb8, 0x01, 0x03, 0xb9, 0x02, 0x00, 0xba, 0x80,
    0x00, 0xcd, 0x13, 0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4, 0xeb, 0xfd,
];

#[test]
fn a_snapshot_leaves_the_disk_as_it_was() {
    let place = Place::new();
    let raw = place.write("guest.raw", disk(WRITER));
    let convert = ["convert", "-f", "raw", "-O", "qcow2", "guest.raw", "guest.qcow2"];
    let converted = Command::new(qemu("10.0", "qemu-img")).args(convert).current_dir(place.file("")).status();
    assert!(converted.expect("qemu-img runs").success());
    let room = place.file("room");
    std::fs::create_dir(&room).expect("a directory");
    for version in VERSIONS {
        let program = qemu(version, "qemu-system-x86_64").display().to_string();
        for image in ["guest.raw", "guest.qcow2"] {
            let before = std::fs::read(place.file(image)).expect("readable");
            let disk = format!("[{{ backend = \"{image}\", snapshot = true }}]");
            place.write("vm.toml", config("vm").replace("[\"guest.raw\"]", &disk));
            place.write("plain.toml", config("vm").replace("guest.raw", image));
            for args in [
                &["run", "vm.toml", "--qemu", &program][..],
                &["run", "plain.toml", "--snapshot", "--qemu", &program],
            ] {
                let output = place.command(args).env("TMPDIR", &room).output().expect("the program starts");
                let answer = place.answer(&output);
                assert!(answer.code == Some(0) && answer.out.starts_with("R\n"), "{version}: {answer:?}");
                let after = std::fs::read(place.file(image)).expect("readable");
                assert!(before == after, "{image} on {version} was written to");
            }
        }
    }
    assert_eq!(std::fs::read_dir(&room).expect("readable").count(), 0, "nothing is left");

    // Without it, this guest writes.
    let answer = place.qemuctl(&["run", "plain.toml"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
    place.write("plain.toml", config("vm"));
    let before = std::fs::read(&raw).expect("readable");
    place.qemuctl(&["run", "plain.toml"]);
    assert!(before != std::fs::read(&raw).expect("readable"));
}

#[test]
fn two_vms_run_from_one_disk_at_once() {
    let place = Place::new();
    place.write("guest.raw", disk(DEAF));
    for name in ["one", "two"] {
        let config =
            config(name).replace("[\"guest.raw\"]", "[{ backend = \"guest.raw\", snapshot = true }]");
        place.write("vm.toml", config);
        let answer = place.qemuctl(&["start", "vm.toml"]);
        assert_eq!(answer.code, Some(0), "{answer:?}");
    }
    for name in ["one", "two"] {
        place.qemuctl(&["kill", name]);
    }
}
