//! Images by what they hold: one that would be read as something else is refused, with the word that helps.

use std::os::unix::fs::symlink;
use std::process::Command;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;

use super::guest::{DEAF, POWER_OFF, config, disk};
use super::program::Place;
use crate::support::{VERSIONS, qemu};

/// Runs `qemu-img` in a place.
fn qemu_img(place: &Place, args: &[&str]) {
    let mut command = Command::new(qemu("10.0", "qemu-img"));
    let output = command.args(args).current_dir(place.file("")).output().expect("qemu-img runs");
    assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
}

/// The config of a VM whose one disk is written so.
fn with_disk(disk: &str) -> String {
    config("vm").replace("[\"guest.raw\"]", &format!("[{disk}]"))
}

#[test]
fn an_image_of_another_format_is_refused_with_the_word_to_write() {
    let place = Place::new();
    for format in ["qcow2", "vmdk", "vdi", "vhdx", "vpc", "qed"] {
        let name = format!("{format}.img");
        qemu_img(&place, &["create", "-q", "-f", format, &name, "1M"]);
        place.write("vm.toml", with_disk(&format!("\"{name}\"")));
        for command in ["check", "run", "start"] {
            let answer = place.qemuctl(&[command, "vm.toml"]);
            let word = format!("format = \"{format}\"");
            assert!(answer.code == Some(4) && answer.err.contains(&word), "{answer:?}");
        }
        let answer = place.qemuctl(&["run", &name]);
        assert!(answer.code == Some(4) && answer.err.contains(&format!("--format {format}")), "{answer:?}");
        place.write("vm.toml", with_disk(&format!("{{ backend = \"{name}\", format = \"{format}\" }}")));
        let answer = place.qemuctl(&["check", "vm.toml"]);
        assert_eq!(answer.code, Some(0), "{answer:?}");
    }
    // Whoever says raw means the bytes, and whatever a guest has written into them.
    place.write("vm.toml", with_disk("{ backend = \"qcow2.img\", format = \"raw\" }"));
    let answer = place.qemuctl(&["check", "vm.toml"]);
    assert_eq!(answer.code, Some(0), "{answer:?}");
}

#[test]
fn packed_images_and_what_is_no_image_are_refused() {
    let place = Place::new();
    let mut tar = vec![0; 1024];
    tar[257..262].copy_from_slice(b"ustar");
    let packed: [(&[u8], &str); 6] = [
        (b"\x1f\x8b\x08\0", "gunzip"),
        (b"\xfd7zXZ\0", "unxz"),
        (b"\x28\xb5\x2f\xfd", "unzstd"),
        (b"BZh91AY&SY", "bunzip2"),
        (b"PK\x03\x04", "unzip"),
        (&tar, "tar -xf"),
    ];
    for (head, command) in packed {
        for name in ["packed.img", "packed.raw"] {
            place.write(name, head);
            place.write("vm.toml", with_disk(&format!("\"{name}\"")));
            for args in [["check", "vm.toml"], ["run", "vm.toml"], ["run", name]] {
                let answer = place.qemuctl(&args);
                assert!(answer.code == Some(4) && answer.err.contains(command), "{args:?}: {answer:?}");
            }
        }
    }
    // Nothing waits for the other end of a pipe.
    mkfifo(&place.file("pipe.raw"), Mode::from_bits_truncate(0o600)).expect("a pipe");
    place.write("vm.toml", with_disk("\"pipe.raw\""));
    place.write("kernel.toml", format!("{}[boot]\nkernel = \"pipe.raw\"\n", with_disk("")));
    for args in
        [&["run", "vm.toml"][..], &["run", "pipe.raw"], &["run", "kernel.toml"], &["check", "pipe.raw"]]
    {
        let answer = place.qemuctl(args);
        assert!(answer.code == Some(4) && answer.err.contains("is a named pipe"), "{args:?}: {answer:?}");
    }
}

#[test]
fn every_field_that_names_an_image_is_looked_at() {
    let place = Place::new();
    qemu_img(&place, &["create", "-q", "-f", "qcow2", "base.img", "1M"]);
    qemu_img(
        &place,
        &["create", "-q", "-f", "qcow2", "-u", "-b", "gone.raw", "-F", "raw", "over.qcow2", "1M"],
    );
    qemu_img(
        &place,
        &["create", "-q", "-f", "qcow2", "-u", "-b", "text.qcow2", "-F", "qcow2", "top.qcow2", "1M"],
    );
    place.write("text.qcow2", "no image");
    let disks = "{ backend = \"top.qcow2\", backing = { type = \"image\", backend = \"base.img\" } }, \"over.qcow2\", \"top.qcow2\", \"text.qcow2\"";
    let more = "cdroms = [\"base.img\"]\nfirmware = { type = \"uefi\", code = \"base.img\", vars = \"text.qcow2\" }\ndisks =";
    place.write("vm.toml", with_disk(disks).replace("disks =", more));
    let answer = place.qemuctl(&["check", "vm.toml"]);
    let told = answer.err.lines().filter_map(|line| line.split_once("vm.toml:")?.1.split_once(": "));
    let told: Vec<&str> = told.map(|(_, fault)| fault).collect();
    insta::assert_snapshot!(told.join("\n"), @"
    cdroms[0].medium: DIR/base.img is a qcow2 image, but would be read as raw
    firmware.code: DIR/base.img is a qcow2 image, but would be read as raw
    firmware.vars: DIR/text.qcow2 is not a qcow2 image
    disks[0].backing.backend: DIR/base.img is a qcow2 image, but would be read as raw
    disks[1].backend: cannot open DIR/gone.raw: No such file or directory
    disks[2].backend: DIR/text.qcow2 is not a qcow2 image
    disks[3].backend: DIR/text.qcow2 is not a qcow2 image
    ");
}

#[test]
fn an_ending_in_capitals_is_the_same() {
    let place = Place::new();
    place.write("guest.raw", disk(POWER_OFF));
    qemu_img(&place, &["convert", "-f", "raw", "-O", "qcow2", "guest.raw", "VM.QCOW2"]);
    for version in VERSIONS {
        let program = qemu(version, "qemu-system-x86_64").display().to_string();
        let answer =
            place.qemuctl(&["run", "VM.QCOW2", "--qemu", &program, "--accel", "tcg", "--no-network"]);
        assert!(answer.code == Some(0) && answer.out.starts_with("R\n"), "{version}: {answer:?}");
    }
}

#[test]
fn images_for_a_running_vm_are_looked_at_too() {
    let place = Place::new();
    place.write("guest.raw", disk(DEAF));
    for image in ["more.img", "other.img"] {
        qemu_img(&place, &["create", "-q", "-f", "qcow2", image, "1M"]);
    }
    mkfifo(&place.file("pipe.raw"), Mode::from_bits_truncate(0o600)).expect("a pipe");
    place.write("vm.toml", config("vm").replace("disks =", "cdroms = [{ id = \"cdrom0\" }]\ndisks ="));
    let started = place.qemuctl(&["start", "vm.toml"]);
    assert_eq!(started.code, Some(0), "{started:?}");
    let refused: [(&[&str], &str); 4] = [
        (&["block", "add", "vm", "more.img"], "--format qcow2"),
        (&["block", "add", "vm", "pipe.raw"], "named pipe"),
        (&["block", "insert", "vm", "cdrom0", "more.img"], "--format qcow2"),
        (&["block", "insert", "vm", "cdrom0", "pipe.raw"], "named pipe"),
    ];
    for (args, word) in refused {
        let answer = place.qemuctl(args);
        assert!(answer.code == Some(4) && answer.err.contains(word), "{args:?}: {answer:?}");
    }
    for args in [
        &["block", "add", "vm", "more.img", "--format", "qcow2"][..],
        &["block", "insert", "vm", "cdrom0", "other.img", "--format", "raw"],
    ] {
        let answer = place.qemuctl(args);
        assert_eq!(answer.code, Some(0), "{args:?}: {answer:?}");
    }
    place.qemuctl(&["kill", "vm"]);
}

/// A block device of this host: a loop device on an image where one may be made, else any there is.
struct Device {
    path: String,
    is_ours: bool,
}

impl Device {
    fn of(image: &std::path::Path) -> Self {
        let made = Command::new("losetup").args(["--find", "--show"]).arg(image).output();
        match made {
            Ok(output) if output.status.success() => {
                let path = String::from_utf8_lossy(&output.stdout).trim().to_owned();
                Self { path, is_ours: true }
            }
            _ => {
                use std::os::unix::fs::FileTypeExt;
                let entries = std::fs::read_dir("/dev").expect("there is /dev").flatten();
                let is_block =
                    |entry: &std::fs::DirEntry| entry.file_type().is_ok_and(|kind| kind.is_block_device());
                let found = entries.into_iter().find(is_block).expect("a block device is in /dev");
                Self { path: found.path().display().to_string(), is_ours: false }
            }
        }
    }
}

impl Drop for Device {
    fn drop(&mut self) {
        if self.is_ours {
            let _ = Command::new("losetup").args(["--detach", &self.path]).output();
        }
    }
}

#[test]
fn a_block_device_by_its_path_is_one() {
    let place = Place::new();
    let image = place.write("guest.raw", disk(POWER_OFF));
    let device = Device::of(&image);
    symlink(&device.path, place.file("link.img")).expect("a link");
    let drive = "disks = []\ncdroms = [\"link.img\"]";
    place.write("disk.toml", with_disk("\"link.img\""));
    place.write("cdrom.toml", config("cdrom").replace("disks = [\"guest.raw\"]", drive));
    let program = qemu("10.0", "qemu-system-x86_64").display().to_string();
    let ways: [&[&str]; 5] = [
        &["disk.toml"],
        &["cdrom.toml"],
        &[&device.path, "--accel", "tcg", "--qemu", &program],
        &["link.img", "--accel", "tcg", "--qemu", &program],
        &["disk.toml", "--disk", &device.path],
    ];
    for way in ways {
        let answer = place.qemuctl(&[&["argv"], way].concat());
        assert!(answer.code == Some(0) && answer.out.contains("\"host_device\""), "{way:?}: {answer:?}");
        assert!(!answer.out.contains("\"driver\":\"file\""), "{way:?}: {answer:?}");
    }
    if !device.is_ours {
        return;
    }
    for version in VERSIONS {
        let program = qemu(version, "qemu-system-x86_64").display().to_string();
        let answer = place.qemuctl(&["run", "disk.toml", "--qemu", &program]);
        assert!(answer.code == Some(0) && answer.out.starts_with("R\n"), "{version}: {answer:?}");
    }
    place.write("idle.raw", disk(DEAF));
    place.write(
        "vm.toml",
        config("vm")
            .replace("disks = [\"guest.raw\"]", "disks = [\"idle.raw\"]\ncdroms = [{ id = \"cdrom0\" }]"),
    );
    for args in [
        &["start", "vm.toml"][..],
        &["block", "insert", "vm", "cdrom0", &device.path],
        &["block", "eject", "vm", "cdrom0"],
        &["block", "add", "vm", "link.img"],
    ] {
        let answer = place.qemuctl(args);
        assert_eq!(answer.code, Some(0), "{args:?}: {answer:?}");
    }
    place.qemuctl(&["kill", "vm"]);
}
