//! Sections "Disk Backends" and "I/O Throttling". Servers of NBD and iSCSI with all their options are in `storage`, Ceph in `tests/ceph`.

use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant as Clock};

use qemuctl::control::{IoBurst, IoLimits};

use super::{image, launch, refused};
use crate::guest_agent::GENEROUS;
use crate::support::{VERSIONS, qemu};

/// A server of NBD that ends with the test.
struct Nbd(Child);

impl Drop for Nbd {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

impl Nbd {
    fn start(version: &str, image: &Path, options: &[&str]) -> Self {
        let child = Command::new(qemu(version, "qemu-nbd"))
            .args(["--format=raw", "--export-name=disk0", "--persistent"])
            .args(options)
            .arg(image)
            .stdin(Stdio::null())
            .spawn();
        Self(child.expect("qemu-nbd starts"))
    }
}

/// Waits until a server listens.
fn until(listens: impl Fn() -> bool) {
    let begin = Clock::now();
    while !listens() {
        assert!(begin.elapsed() < GENEROUS, "nobody listens");
        std::thread::sleep(Duration::from_millis(10));
    }
}

async fn drv(vm: &qemuctl::Instance) -> String {
    let devices = vm.block_devices().await.expect("told");
    devices[0].inserted.as_ref().expect("in").drv.clone()
}

#[tokio::test]
async fn file_backend() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        image(dir.path(), "a.raw");
        for format in ["qcow2", "vmdk"] {
            let made = Command::new(qemu(version, "qemu-img"))
                .args(["create", "-q", "-f", format])
                .arg(dir.path().join(format!("a.{format}")))
                .arg("1M")
                .status();
            assert!(made.expect("qemu-img starts").success());
        }
        for format in ["raw", "qcow2", "vmdk"] {
            let lines = format!("name = \"{format}\"\ndisks = [\"DIR/a.{format}\"]");
            assert_eq!(drv(&launch(version, dir.path(), &lines).await).await, format, "{version}");
        }
    }
}

#[tokio::test]
async fn nbd_backend_unix_socket() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        image(dir.path(), "a.raw");
        let socket = dir.path().join("nbd.sock");
        let _server =
            Nbd::start(version, &dir.path().join("a.raw"), &["--socket", socket.to_str().expect("UTF-8")]);
        until(|| std::os::unix::net::UnixStream::connect(&socket).is_ok());
        let lines =
            "disks = [{ backend = { type = \"nbd\", server = \"DIR/nbd.sock\", export = \"disk0\" } }]";
        assert_eq!(drv(&launch(version, dir.path(), lines).await).await, "raw");
    }
}

#[tokio::test]
async fn nbd_backend_tcp() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        image(dir.path(), "a.raw");
        // A port that was free a moment ago; another program may take it first, then another is tried.
        let (_server, port) = (0..10)
            .find_map(|_| {
                let probe = std::net::TcpListener::bind("127.0.0.1:0").expect("a port");
                let port = probe.local_addr().expect("it has one").port();
                drop(probe);
                let text = port.to_string();
                let mut server =
                    Nbd::start(version, &dir.path().join("a.raw"), &["--bind=127.0.0.1", "--port", &text]);
                until(|| std::net::TcpStream::connect(("127.0.0.1", port)).is_ok());
                (server.0.try_wait().expect("asked").is_none()).then_some((server, port))
            })
            .expect("a port stays free");
        let lines = format!(
            "disks = [{{ backend = {{ type = \"nbd\", server = \"127.0.0.1:{port}\", export = \"disk0\" }} }}]"
        );
        assert_eq!(drv(&launch(version, dir.path(), &lines).await).await, "raw");
    }
}

#[tokio::test]
async fn ceph_rbd_backend() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        std::fs::write(dir.path().join("ceph.conf"), "[global]\nclient_mount_timeout = 1\n")
            .expect("written");
        let lines = r#"
            secrets = [{ id = "ceph-key", value = "QVFB", format = "base64" }]
            [[disks]]
            backend = { type = "rbd", pool = "rbd", image = "vm-disk-0", user = "admin", key_secret = "ceph-key", conf = "DIR/none.conf" }"#;
        // Without a cluster it is librbd that says what it misses: everything else was understood.
        let error = refused(version, dir.path(), lines).await;
        assert!(
            error.contains("error reading conf file") && error.contains("none.conf"),
            "{version}: {error}"
        );
    }
}

#[tokio::test]
async fn iscsi_backend() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let lines = r#"
            secrets = [{ id = "iscsi-password", value = "twelve letters" }]
            [[disks]]
            backend = { type = "iscsi", portal = "127.0.0.1:1", target = "iqn.2023-01.com.example:storage", lun = 1, user = "admin", password_secret = "iscsi-password", initiator = "iqn.2023-01.com.example:client" }"#;
        // Nobody serves iSCSI on port 1: it was asked.
        let error = refused(version, dir.path(), lines).await;
        assert!(error.contains("iSCSI: Failed to connect to LUN"), "{version}: {error}");
    }
}

#[tokio::test]
async fn multiple_disk_backends() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        image(dir.path(), "a.raw");
        image(dir.path(), "b.raw");
        let socket = dir.path().join("nbd.sock");
        let _server =
            Nbd::start(version, &dir.path().join("b.raw"), &["--socket", socket.to_str().expect("UTF-8")]);
        until(|| std::os::unix::net::UnixStream::connect(&socket).is_ok());
        let lines = r#"disks = ["DIR/a.raw", { backend = { type = "nbd", server = "DIR/nbd.sock", export = "disk0" } }, { backend = { type = "null", size = "1MiB" } }]"#;
        let vm = launch(version, dir.path(), lines).await;
        assert_eq!(vm.block_devices().await.expect("told").len(), 3);
    }
}

#[tokio::test]
async fn io_throttling() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        image(dir.path(), "a.raw");
        let lines = r#"
            [[disks]]
            id = "drive0"
            backend = "DIR/a.raw"
            throttle = { group = "tg0", bps = { limit = "100MiB", burst = "200MiB" }, iops = { limit = 1000, burst = 2000 } }"#;
        let vm = launch(version, dir.path(), lines).await;
        let burst =
            IoBurst { bytes_total: 200 << 20, requests_total: 2000, seconds: 1, ..IoBurst::default() };
        let limits = IoLimits {
            bytes_total: 100 << 20,
            requests_total: 1000,
            burst: Some(burst),
            ..IoLimits::default()
        };
        assert_eq!(vm.io_limits("drive0").await.expect(version), limits);
    }
}
