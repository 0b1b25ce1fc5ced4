//! Table "`VMConfig` Options", and section "Architecture Mapping".

use serde_json::json;

use super::{ask, driver, image, launch, property};
use crate::support::{VERSIONS, qemu};

#[tokio::test]
async fn machine_type_accelerator_pflash() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "machine = { type = \"q35\", vmport = false }").await;
        assert!(
            ["off", "\"off\"", "false"]
                .contains(&property(&vm, "/machine", "vmport").await.to_string().as_str())
        );
    }
}

#[tokio::test]
async fn cpu_model_features_topology() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let lines = "cpu = { model = \"max\", count = 8, sockets = 2, cores = 2, threads = 2, features = { avx2 = false } }";
        let vm = launch(version, dir.path(), lines).await;
        let cpus = ask(&vm, "query-cpus-fast", json!({})).await;
        let last = &cpus[7]["props"];
        assert_eq!(
            (&last["socket-id"], &last["core-id"], &last["thread-id"]),
            (&json!(1), &json!(1), &json!(1))
        );
        assert_eq!(property(&vm, cpus[0]["qom-path"].as_str().expect("a path"), "avx2").await, false);
    }
}

#[tokio::test]
async fn memory_size_backend_locking() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let lines = "memory = { size = \"128MiB\", backend = { type = \"memfd\" }, share = true }";
        let vm = launch(version, dir.path(), lines).await;
        let backends = ask(&vm, "query-memdev", json!({})).await;
        let seen = (&backends[0]["size"], &backends[0]["share"]);
        assert_eq!(seen, (&json!(128 << 20), &json!(true)), "{version}");
    }
}

#[tokio::test]
async fn efi_uefi_ovmf_configuration() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let share = qemu(version, "qemu-img").ancestors().nth(2).expect("a prefix").join("usr/share/OVMF");
        let code = share.join("OVMF_CODE_4M.fd");
        std::fs::copy(share.join("OVMF_VARS_4M.fd"), dir.path().join("vars.fd")).expect("copied");
        let lines = format!("firmware = {{ type = \"uefi\", code = {code:?}, vars = \"DIR/vars.fd\" }}");
        let vm = launch(version, dir.path(), &lines).await;
        let flash = vm.block_devices().await.expect("told");
        let mut seen: Vec<_> = flash
            .iter()
            .filter_map(|device| device.inserted.as_ref())
            .map(|inserted| (inserted.ro, inserted.file.clone()))
            .collect();
        seen.sort();
        let vars = dir.path().join("vars.fd").display().to_string();
        assert_eq!(seen, [(false, vars), (true, code.display().to_string())], "{version}");
    }
}

#[tokio::test]
async fn boot_order_kernel_initrd() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        image(dir.path(), "a.raw");
        let kernel = crate::support::guest_file("x86_64", "vmlinuz");
        let lines = format!(
            "cdroms = [{{}}]\ndisks = [{{ backend = \"DIR/a.raw\", boot_index = 3 }}]\n[boot]\nmenu = true\nkernel = {kernel:?}\nappend = \"console=ttyS0, a=b\""
        );
        let vm = launch(version, dir.path(), &lines).await;
        assert_eq!(property(&vm, "/machine", "append").await, "console=ttyS0, a=b");
        assert_eq!(property(&vm, "/machine/peripheral/disk0", "bootindex").await, 3, "{version}");
    }
}

#[tokio::test]
async fn disks() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        for name in ["a", "b", "c", "d", "e"] {
            image(dir.path(), &format!("{name}.raw"));
        }
        let lines = r#"disks = [
            "DIR/a.raw",
            { backend = "DIR/b.raw", interface = "virtio-scsi" },
            { backend = "DIR/c.raw", interface = "sata" },
            { backend = "DIR/d.raw", interface = "nvme" },
            { backend = "DIR/e.raw", interface = "usb" },
        ]"#;
        let vm = launch(version, dir.path(), lines).await;
        for (id, kind) in [
            ("disk0", "virtio-blk-pci"),
            ("disk1", "scsi-hd"),
            ("disk2", "ide-hd"),
            ("disk3", "nvme"),
            ("disk4", "usb-storage"),
        ] {
            assert_eq!(driver(&vm, id).await, kind, "{version}");
        }
    }
}

#[tokio::test]
async fn cdroms() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        image(dir.path(), "install.iso");
        let vm = launch(version, dir.path(), "cdroms = [{}, \"DIR/install.iso\"]").await;
        let full: Vec<_> =
            vm.block_devices().await.expect("told").iter().map(|drive| drive.inserted.is_some()).collect();
        assert_eq!(full, [false, true]);
        vm.change_medium("cdrom0", &dir.path().join("install.iso"), "raw").await.expect(version);
        vm.eject("cdrom1").await.expect(version);
        let full: Vec<_> =
            vm.block_devices().await.expect("told").iter().map(|drive| drive.inserted.is_some()).collect();
        assert_eq!(full, [true, false]);
    }
}

#[tokio::test]
async fn networks() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "networks = [\"user\", { model = \"e1000e\" }]").await;
        assert_eq!(
            (driver(&vm, "net0").await, driver(&vm, "net1").await),
            (json!("virtio-net-pci"), json!("e1000e"))
        );
    }
}

#[tokio::test]
async fn display() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "vnc = {}\nspice = {}\nvideo = [\"qxl-vga\"]").await;
        assert_eq!(driver(&vm, "video0").await, "qxl-vga");
        assert_eq!(ask(&vm, "query-spice", json!({})).await["enabled"], true, "{version}");
    }
}

#[tokio::test]
async fn audio() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let lines =
            "audio = [{ device = \"intel-hda\", backend = { type = \"wav\", path = \"DIR/out.wav\" } }]";
        let vm = launch(version, dir.path(), lines).await;
        let tree = vm.human_monitor("info qtree").await.expect("told");
        assert!(tree.contains("intel-hda") && tree.contains("hda-"), "{version}: {tree}");
    }
}

#[tokio::test]
async fn serials() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let lines = "serials = [{}, \"null\", { backend = { type = \"file\", path = \"DIR/serial.txt\" } }]";
        let vm = launch(version, dir.path(), lines).await;
        vm.console().await.expect("the first is served");
        let tree = vm.human_monitor("info qtree").await.expect("told");
        assert_eq!(tree.matches("dev: isa-serial").count(), 3, "{version}: {tree}");
    }
}

#[tokio::test]
async fn chardevs() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "chardevs = [{ id = \"logs\", backend = \"ringbuf\" }]").await;
        ask(&vm, "ringbuf-write", json!({ "device": "logs", "data": "kept" })).await;
        let read = ask(&vm, "ringbuf-read", json!({ "device": "logs", "size": 100 })).await;
        assert_eq!(read, "kept", "{version}");
    }
}

#[tokio::test]
async fn virtio_serial() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "channels = [{ name = \"org.example.metrics.0\" }]").await;
        let tree = vm.human_monitor("info qtree").await.expect("told");
        assert!(
            tree.contains("virtserialport") && tree.contains("org.example.metrics.0"),
            "{version}: {tree}"
        );
    }
}

#[tokio::test]
async fn usb_and_usb_devices() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm =
            launch(version, dir.path(), "usb = [\"xhci\"]\nusb_devices = [\"tablet\", \"keyboard\"]").await;
        let text = vm.human_monitor("info usb").await.expect("told");
        assert!(text.contains("QEMU USB Tablet") && text.contains("QEMU USB Keyboard"), "{version}: {text}");
    }
}

#[tokio::test]
async fn balloon() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "memory = \"128MiB\"\nballoon = {}").await;
        assert_eq!(vm.balloon().await.expect(version), 128 << 20);
    }
}

#[tokio::test]
async fn rtc() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "rtc = { base = \"2001-02-03T04:05:06\" }").await;
        let date = property(&vm, "/machine", "rtc-time").await;
        assert_eq!(
            (&date["tm_year"], &date["tm_mon"], &date["tm_mday"]),
            (&json!(101), &json!(1), &json!(3)),
            "{version}"
        );
    }
}

#[tokio::test]
async fn secrets() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let vm = launch(version, dir.path(), "secrets = [{ id = \"key\", value = \"very secret\" }]").await;
        let objects = ask(&vm, "qom-list", json!({ "path": "/objects" })).await.to_string();
        assert!(objects.contains("\"key\""), "{version}: {objects}");
        let line =
            std::fs::read(format!("/proc/{}/cmdline", vm.pid().expect("a process"))).expect("readable");
        assert!(!String::from_utf8_lossy(&line).contains("very secret"));
    }
}

/// Each GOARCH name starts its QEMU on its usual machine.
#[tokio::test]
async fn architecture_mapping() {
    for (name, target) in [
        ("amd64", "x86_64"),
        ("386", "i386"),
        ("arm64", "aarch64"),
        ("arm", "arm"),
        ("riscv64", "riscv64"),
        ("ppc64", "ppc64"),
        ("ppc64le", "ppc64"),
        ("mips", "mips"),
        ("mips64", "mips64"),
        ("s390x", "s390x"),
    ] {
        let dir = tempfile::tempdir().expect("a directory");
        let lines = format!("arch = \"{name}\"\nmemory = \"256MiB\"");
        let vm = launch("10.0", dir.path(), &lines).await;
        assert_eq!(ask(&vm, "query-target", json!({})).await["arch"], target, "{name}");
    }
}
