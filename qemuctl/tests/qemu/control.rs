//! What one does to a running VM: displays, input, disks, monitor.

use std::path::Path;
use std::time::Duration;

use qemuctl::qmp_proto::{BlockInfo, QueryBlock, QueryVnc};
use qemuctl::{
    Error, Instance, State, VmConfig,
    control::{Authentication, Expiry, IoBurst, IoLimits, MouseButton},
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::boot_sector::Guest;
use crate::support::{VERSIONS, qemu};

const GENEROUS: Duration = Duration::from_secs(60);

fn config(version: &str, dir: &Path, extra: &[&str]) -> VmConfig {
    let config = Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir, "vm");
    VmConfig { extra_args: extra.iter().map(|&word| word.into()).collect(), ..config }
}

async fn start(version: &str, dir: &Path, extra: &[&str]) -> Instance {
    Instance::start(&config(version, dir, extra)).await.expect(version)
}

#[tokio::test]
async fn a_screenshot_is_a_png_picture() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = start(version, dir.path(), &["-vga", "std"]).await;
        let picture = vm.screenshot().await.expect(version);
        let reader = png::Decoder::new(std::io::Cursor::new(picture)).read_info().expect("a PNG");
        assert!(reader.info().width >= 320, "{version}");
        let path = dir.path().join("screen.png");
        vm.screenshot_to(&path).await.expect("written");
        assert!(std::fs::read(path).expect("there").starts_with(b"\x89PNG"));
    }
    let dir = tempfile::tempdir().expect("a directory");
    let vm = start("10.0", dir.path(), &[]).await;
    let error = vm.screenshot().await.expect_err("it has no screen");
    assert_eq!(error.to_string(), "vm has no screen");
}

/// Speaks the beginning of RFB and returns the kinds of authentication that the server offers.
async fn offered(client: &mut UnixStream) -> Vec<u8> {
    let mut version = [0; 12];
    client.read_exact(&mut version).await.expect("it speaks");
    assert_eq!(&version, b"RFB 003.008\n");
    client.write_all(&version).await.expect("it listens");
    let count = client.read_u8().await.expect("a count");
    let mut kinds = vec![0; count.into()];
    client.read_exact(&mut kinds).await.expect("as many");
    kinds
}

#[tokio::test]
async fn vnc_clients_are_handed_over() {
    const NONE: u8 = 1;
    const PASSWORD: u8 = 2;
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = start(version, dir.path(), &["-vnc", "none,password=on"]).await;
        for (authentication, kind) in [(Authentication::Required, PASSWORD), (Authentication::Skipped, NONE)]
        {
            let (mut client, qemus) = UnixStream::pair().expect("a pair");
            vm.add_vnc_client(qemus, authentication).await.expect(version);
            let kinds = tokio::time::timeout(GENEROUS, offered(&mut client)).await.expect("it answers");
            assert_eq!(kinds, [kind], "{authentication:?} on {version}");
        }
        vm.set_vnc_password("secret").await.expect("set");
        for expiry in [Expiry::Now, Expiry::Never, Expiry::After(Duration::from_secs(30))] {
            vm.expire_vnc_password(expiry).await.expect("set");
        }
        let error = vm.set_vnc_password("nine byte").await.expect_err("too long");
        assert_eq!(
            error.to_string(),
            "setting the VNC password of vm failed: VNC passwords have at most 8 bytes"
        );
        vm.execute(QueryVnc {}).await.expect("it still answers");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let vm = start("10.0", dir.path(), &["-display", "none"]).await;
    let (_client, qemus) = UnixStream::pair().expect("a pair");
    let error = vm.add_vnc_client(qemus, Authentication::Required).await.expect_err("nobody serves it");
    assert_eq!(error.to_string(), "vm has no VNC display");
}

#[tokio::test]
async fn spice_clients_are_handed_over_where_qemu_has_it() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = start(version, dir.path(), &["-spice", "image-compression=auto_glz"]).await;
        let (mut client, qemus) = UnixStream::pair().expect("a pair");
        vm.add_spice_client(qemus, Authentication::Skipped).await.expect(version);
        // A link message of the main channel: magic, version 2.2, its size; no capabilities.
        let mut hello = b"REDQ".to_vec();
        for number in [2_u32, 2, 18, 0] {
            hello.extend_from_slice(&number.to_le_bytes());
        }
        hello.extend_from_slice(&[1, 0]);
        for number in [0_u32, 0, 18] {
            hello.extend_from_slice(&number.to_le_bytes());
        }
        client.write_all(&hello).await.expect("it listens");
        let mut magic = [0; 4];
        tokio::time::timeout(GENEROUS, client.read_exact(&mut magic))
            .await
            .expect("in time")
            .expect("it answers");
        assert_eq!(&magic, b"REDQ", "{version}");
        vm.set_spice_password("secret").await.expect("set");
        vm.expire_spice_password(Expiry::Never).await.expect("set");
    }
    let dir = tempfile::tempdir().expect("a directory");
    let vm = start("10.0", dir.path(), &[]).await;
    let error = vm.set_spice_password("secret").await.expect_err("nobody serves it");
    assert_eq!(error.to_string(), "vm has no SPICE display");
}

#[tokio::test]
async fn keys_and_pointer_are_sent() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = start(version, dir.path(), &["-vga", "std", "-usb", "-device", "usb-tablet"]).await;
        vm.send_keys(["ctrl", "alt", "delete"]).await.expect(version);
        vm.type_text("Hello, World! {~}\n").await.expect(version);
        vm.move_pointer_to(0.5, 0.25).await.expect(version);
        vm.move_pointer_by(-3, 4).await.expect(version);
        vm.click(MouseButton::Left).await.expect(version);
        let error = vm.send_keys(["any key"]).await.expect_err("no such key");
        assert_eq!(error.to_string(), "sending keys to vm failed: no key is called \"any key\"");
        vm.type_text("naïve").await.expect_err("no key for that letter");
    }
}

#[tokio::test]
async fn limits_of_a_disk_are_exact() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = start(version, dir.path(), &[]).await;
        let limits = IoLimits { bytes_total: 100 << 20, requests_total: 1000, ..IoLimits::default() };
        let burst =
            IoBurst { bytes_total: 200 << 20, requests_total: 2000, seconds: 5, ..IoBurst::default() };
        for (limits, expected) in [
            (limits, (100 << 20, 1000, None, None)),
            (IoLimits { burst: Some(burst), ..limits }, (100 << 20, 1000, Some(200 << 20), Some(2000))),
            (IoLimits::default(), (0, 0, None, None)),
        ] {
            vm.set_io_limits("disk0", limits).await.expect(version);
            let block = vm.execute(QueryBlock::default()).await.expect("answered");
            let inserted = block[0].inserted.as_ref().expect("an image");
            let seen = (inserted.bps, inserted.iops, inserted.bps_max, inserted.iops_max);
            // QEMU tells a limit that is not set as nothing or as 0.
            let seen = (seen.0, seen.1, seen.2.filter(|&max| max != 0), seen.3.filter(|&max| max != 0));
            assert_eq!(seen, expected, "{version}");
        }
        let error = vm.set_io_limits("nope", limits).await.expect_err("no such disk");
        assert_eq!(error.to_string(), "vm has no disk nope");
    }
}

#[tokio::test]
async fn media_are_changed_and_ejected() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = start(version, dir.path(), &["-device", "ide-cd,id=cd,bus=ide.1"]).await;
        let image = dir.path().join("a, \"b\".iso");
        std::fs::write(&image, vec![0; 4096]).expect("written");
        vm.change_medium("cd", &image, "raw").await.expect(version);
        let medium = |devices: Vec<BlockInfo>| {
            let cd =
                devices.into_iter().find(|info| info.qdev.as_deref() == Some("cd")).expect("it is there");
            cd.inserted.map(|inserted| inserted.file)
        };
        let seen = medium(vm.block_devices().await.expect("answered"));
        assert_eq!(seen, Some(image.display().to_string()), "{version}");
        vm.eject("cd").await.expect(version);
        assert_eq!(medium(vm.block_devices().await.expect("answered")), None);
        vm.eject("nope").await.expect_err("no such drive");
    }
}

#[tokio::test]
async fn the_balloon_and_the_monitor_for_humans_answer() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = start(version, dir.path(), &["-device", "virtio-balloon-pci,addr=0x1e"]).await;
        assert_eq!(vm.balloon().await.expect(version), 32 << 20);
        vm.set_balloon(16 << 20).await.expect(version);
        let text = vm.human_monitor("info status").await.expect(version);
        assert_eq!(text.trim_end(), "VM status: running");
        vm.wake().await.expect_err("it does not sleep");
    }
}

#[tokio::test]
async fn attaching_by_process_id_finds_the_monitor() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = start(version, dir.path(), &[]).await;
        let attached = Instance::attach_pid(vm.pid().expect("a process")).await.expect(version);
        assert_eq!((attached.pid(), attached.name(), attached.state()), (vm.pid(), "vm", State::Running));
    }
    let error = Instance::attach_pid(std::process::id()).await.expect_err("no QEMU");
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
}
