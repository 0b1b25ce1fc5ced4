//! What real QEMUs refuse, told by its cause, on every supported version.

use std::net::TcpListener;
use std::path::Path;
use std::time::Duration;

use qemuctl::{
    Instance, ProcessExit,
    config::{BlockFormat, Disk, DiskInterface},
    error::{Cause, Phase},
};

use super::{GENEROUS, failure, refused, seen, with};
use crate::boot_sector::{Guest, leftovers};
use crate::support::{VERSIONS, qemu};

/// A port that is taken for as long as the listener lives, in the range of VNC displays.
fn taken() -> (TcpListener, u16) {
    (5900..6900)
        .find_map(|port| Some((TcpListener::bind(("127.0.0.1", port)).ok()?, port)))
        .expect("a free port")
}

#[tokio::test]
async fn what_qemu_refuses_is_told_by_its_cause() {
    let (_listener, port) = taken();
    let forward = format!("user,id=n,hostfwd=tcp:127.0.0.1:{port}-:22");
    let (gdb, vnc) = (format!("tcp:127.0.0.1:{port}"), format!("127.0.0.1:{}", port - 5900));
    let file = r#"{"driver":"file","filename":"/nonexistent/disk.raw","node-name":"n"}"#;
    let nbd = r#"{"driver":"nbd","server":{"type":"inet","host":"127.0.0.1","port":"1"},"node-name":"n"}"#;
    let rows: [(&[&str], Cause); 18] = [
        (&["-device", "nonsense"], Cause::UnknownDevice),
        (&["-blockdev", file], Cause::NoSuchFile),
        (&["-kernel", "/nonexistent/vmlinuz"], Cause::NoSuchFile),
        (
            &[
                "-object",
                "rng-random,id=r,filename=/nonexistent/random",
                "-device",
                "virtio-rng-pci,rng=r,addr=0x1e",
            ],
            Cause::NoSuchFile,
        ),
        (&["-machine", "nonsense"], Cause::UnknownMachine),
        (&["-cpu", "nonsense"], Cause::UnknownCpu),
        (&["-nonsense"], Cause::UnknownOption),
        (&["-rtc", "nonsense=1"], Cause::UnknownOption),
        (&["-device", "virtio-rng-pci,nonsense=1,addr=0x1e"], Cause::BadProperty),
        (&["-device", "virtio-rng-pci,addr=0x0"], Cause::PciAddress),
        (&["-device", "virtio-rng-pci,bus=nonsense"], Cause::PciAddress),
        (&["-bios", "/nonexistent/bios.bin"], Cause::MissingFirmware),
        (&["-object", "memory-backend-ram,id=m,size=64T"], Cause::OutOfMemory),
        (&["-blockdev", nbd], Cause::ConnectionFailed),
        (&["-netdev", &forward], Cause::AddressInUse),
        (&["-gdb", &gdb], Cause::AddressInUse),
        (&["-vnc", &vnc], Cause::AddressInUse),
        (&["-readconfig", "/nonexistent/config"], Cause::NoSuchFile),
    ];
    for version in VERSIONS {
        let program = qemu(version, "qemu-system-x86_64");
        for (extra, cause) in &rows {
            let dir = tempfile::tempdir().expect("a directory");
            let failure = refused(dir.path(), &program, extra, GENEROUS).await;
            let told = (failure.phase, failure.cause, failure.exit);
            assert_eq!(told, (Phase::Handshake, *cause, Some(ProcessExit::Code(1))), "{version}: {failure}");
        }
        // A defect of QEMU that was mended in 11.
        let dir = tempfile::tempdir().expect("a directory");
        let device = r#"{"driver":"virtio-rng-pci","id":"a/b"}"#;
        let failure = refused(dir.path(), &program, &["-device", device], GENEROUS).await;
        let cause = if version == "11.1" { Cause::BadProperty } else { Cause::QemuBug };
        assert_eq!(failure.cause, cause, "{version}: {failure}");
    }
    seen("refusals by QEMU", (rows.len() + 1) * VERSIONS.len());
}

/// The guest's own disk, with something wrong about it.
async fn bad_disk(version: &str, dir: &Path, disk: Disk) -> Cause {
    let mut config = Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir, "vm");
    config.disks = vec![Disk { interface: DiskInterface::Ide, ..disk }];
    let failure = failure(Instance::start(&config).await);
    assert_eq!(leftovers(dir), [""; 0], "{failure}");
    failure.cause
}

#[tokio::test]
async fn a_disk_that_cannot_be_used_is_told_by_its_cause() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let raw = |path| Disk { format: Some(BlockFormat::Raw), ..Disk::file(path) };
        let missing = dir.path().join("images").join("missing.raw");
        assert_eq!(bad_disk(version, dir.path(), raw(missing)).await, Cause::NoSuchFile, "{version}");
        let image = Guest::Deaf.image(dir.path());
        let mut config = Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir.path(), "vm");
        config.disks = vec![Disk { format: Some(BlockFormat::Qcow2), ..Disk::file(image) }];
        let wrong = Instance::start(&config).await.expect_err("it is raw").to_string();
        assert!(wrong.ends_with("is not a qcow2 image"), "{version}: {wrong}");

        let other = tempfile::tempdir().expect("a directory");
        let first = Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), other.path(), "first");
        let vm = Instance::start(&first).await.expect(version);
        let locked = raw(Guest::Deaf.image(other.path()));
        assert_eq!(bad_disk(version, dir.path(), locked).await, Cause::DiskLocked, "{version}");
        vm.kill().await.expect("killed");
    }
    seen("disks that cannot be used", 2 * VERSIONS.len());
}

#[tokio::test]
async fn a_program_that_is_no_qemu_is_refused_before_anything_starts() {
    let dir = tempfile::tempdir().expect("a directory");
    for program in ["/nonexistent/qemu", "/etc/passwd", "/bin/true", "/bin/sh"] {
        let config = with(Guest::Deaf.config(Path::new(program), dir.path(), "vm"), &[]);
        Instance::start(&config).await.expect_err(program);
        assert_eq!(leftovers(dir.path()), [""; 0], "{program}");
    }
    let never = refused(dir.path(), &qemu("10.0", "qemu-system-x86_64"), &[], Duration::ZERO).await;
    assert_eq!((never.phase, never.cause), (Phase::Handshake, Cause::Timeout));
    seen("programs that are no QEMU", 5);
}
