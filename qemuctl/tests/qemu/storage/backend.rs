//! A disk with what serves it: what is written through the disk is read back by another program.

use std::path::Path;

use qemuctl::{
    Error, Instance, VmConfig,
    config::{AccelChoice, Arch, Disk, Machine, Memory, Secret, Size, Tls},
    error::Cause,
};

use crate::servers::{GENEROUS, Server};
use crate::support::{VERSIONS, qemu};

/// How large the disks are.
pub const SIZE: u64 = 4 << 20;

/// The part of the disk's device that has the block backend.
const DEVICE: &str = "/machine/peripheral/disk0/virtio-backend";

/// A disk with what serves it.
pub struct Backend {
    pub disk: Disk,
    pub secrets: Vec<Secret>,
    pub tls: Vec<Tls>,
    /// They end with the value.
    pub _servers: Vec<Server>,
    /// Reads the disk's first bytes, but not through the QEMU that wrote them.
    pub read: Box<dyn Fn(usize) -> Vec<u8>>,
}

impl Backend {
    pub fn new(disk: Disk, servers: Vec<Server>, read: impl Fn(usize) -> Vec<u8> + 'static) -> Self {
        Self { disk, secrets: Vec::new(), tls: Vec::new(), _servers: servers, read: Box::new(read) }
    }

    /// A frozen VM with this disk alone.
    pub fn config(&self, version: &str, dir: &Path) -> VmConfig {
        VmConfig {
            disks: vec![self.disk.clone()],
            secrets: self.secrets.clone(),
            tls: self.tls.clone(),
            ..machine(version, dir)
        }
    }

    /// Writes through the disk, by each QEMU something else, and reads what arrived.
    pub async fn holds_what_is_written(&self, dir: &Path) {
        for (version, pattern) in VERSIONS.into_iter().zip(1..) {
            self.holds(version, dir, pattern).await;
        }
    }

    pub async fn holds(&self, version: &str, dir: &Path, pattern: u8) {
        let vm = Instance::start(&self.config(version, dir)).await.unwrap_or_else(|error| {
            panic!("{version}: {error}");
        });
        for command in [format!("write -P {pattern} 0 64k"), "flush".to_owned()] {
            // What fails is printed by QEMU; the monitor itself has something to say of wrong commands alone.
            let command = format!(r#"qemu-io -d {DEVICE} "{command}""#);
            assert_eq!(vm.human_monitor(&command).await.expect(version), "", "{version}");
        }
        vm.quit(GENEROUS).await.expect("it ends");
        assert!((self.read)(64 << 10) == vec![pattern; 64 << 10], "{version}: what arrived differs");
    }

    /// Reads through the disk what its backend holds.
    pub async fn gives(&self, dir: &Path, pattern: u8) {
        for version in VERSIONS {
            self.reads(version, dir, pattern).await;
        }
    }

    pub async fn reads(&self, version: &str, dir: &Path, pattern: u8) {
        let vm = Instance::start(&self.config(version, dir)).await.unwrap_or_else(|error| {
            panic!("{version}: {error}");
        });
        let command = format!(r#"qemu-io -d {DEVICE} "read -P {pattern} 1M 64k""#);
        assert_eq!(vm.human_monitor(&command).await.expect(version), "", "{version}");
        vm.quit(GENEROUS).await.expect("it ends");
        let read = "read 65536/65536 bytes at offset 1048576";
        assert_eq!(vm.output().first().map(String::as_str), Some(read), "{version}");
    }

    /// Starts VMs that cannot have this disk, for the same reason on every QEMU.
    pub async fn is_refused(&self, dir: &Path, cause: Cause) {
        for version in VERSIONS {
            match Instance::start(&self.config(version, dir)).await.expect_err("it is refused") {
                Error::Launch(failure) => assert_eq!(failure.cause, cause, "{version}: {failure}"),
                other => panic!("{version}: {other}"),
            }
        }
    }
}

/// A VM that never runs a guest.
fn machine(version: &str, dir: &Path) -> VmConfig {
    VmConfig {
        name: Some("vm".into()),
        qemu: Some(qemu(version, "qemu-system-x86_64")),
        socket_dir: Some(dir.into()),
        arch: Some(Arch::X86_64),
        machine: Machine { accel: AccelChoice::Tcg, ..Machine::default() },
        memory: Memory::new(Size::mib(32)),
        paused: true,
        ..VmConfig::default()
    }
}
