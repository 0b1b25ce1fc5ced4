//! What real QEMUs tell of themselves, and what is remembered of it.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use qemuctl::config::Arch;
use qemuctl::qemu_discovery::{Places, Probe, find_binary, probe_in};

use crate::own_process::{command, is_role};
use crate::support::{VERSIONS, qemu};

/// This host, with a cache of the test's own.
pub fn places(dir: &Path) -> Places {
    let mut places = Places::host();
    places.cache_dir = Some(dir.join("cache"));
    places
}

pub async fn probed(dir: &Path, binary: &Path) -> Probe {
    probe_in(&places(dir), binary).await.expect("a QEMU answers")
}

/// A program that starts `binary` and counts how often it did.
pub struct Counted {
    pub script: PathBuf,
    log: PathBuf,
}

impl Counted {
    pub fn new(dir: &Path, binary: &Path) -> Self {
        let this = Self { script: dir.join("qemu-system-counted"), log: dir.join("starts") };
        let text = format!(
            "#!/bin/sh\necho \"$*\" >>'{}'\nexec '{}' \"$@\"\n",
            this.log.display(),
            binary.display()
        );
        fs::write(&this.script, text).expect("the script is written");
        fs::set_permissions(&this.script, fs::Permissions::from_mode(0o755)).expect("it is made executable");
        this
    }

    pub fn starts(&self) -> usize {
        fs::read_to_string(&self.log).map_or(0, |log| log.lines().count())
    }
}

#[tokio::test]
async fn three_releases_differ_as_known() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut told = Vec::new();
    for version in VERSIONS {
        let probe = probed(dir.path(), &qemu(version, "qemu-system-x86_64")).await;
        assert_eq!(format!("{}.{}", probe.version.major, probe.version.minor), version);
        let q35 = probe.machine("q35").expect("q35");
        let names = |names: Vec<&str>| names.join(" ");
        let has =
            |set: &[(&str, bool)]| names(set.iter().filter(|(_, has)| *has).map(|(name, _)| *name).collect());
        told.push(format!(
            "{version}: q35 = {} with {} CPUs and {}\nnetdevs: {}\naccelerators among kvm tcg: {}\noptions: {}\n\
             netdev options: {}\ncommands: {}\ndevices: {}\nCPU models: {}\n",
            q35.name,
            q35.max_cpus,
            q35.default_cpu_type.as_deref().unwrap_or("-"),
            names(probe.netdevs.keys().map(String::as_str).collect()),
            has(&["kvm", "tcg"].map(|name| (name, probe.accelerators.contains(name)))),
            has(&[
                ("chardev.reconnect", probe.has_option("chardev", "reconnect")),
                ("chardev.reconnect-ms", probe.has_option("chardev", "reconnect-ms")),
                ("run-with.user", probe.has_option("run-with", "user")),
                ("run-with.exit-with-parent", probe.has_option("run-with", "exit-with-parent")),
            ]),
            has(&["reconnect", "reconnect-ms"].map(|name| (name, probe.netdevs["stream"].contains(name)))),
            has(&["query-accelerators", "blockdev-set-active", "query-kvm", "x-query-opcount"]
                .map(|name| (name, probe.commands.contains(name)))),
            has(&["virtio-blk-pci", "virtio-vga-gl", "qxl", "vmapple-virtio-blk-pci", "igbvf", "no-such-device"]
                .map(|name| (name, probe.has_device(name) == Some(true)))),
            has(&["qemu64", "max", "host", "EPYC-Genoa", "SierraForest", "ClearwaterForest"]
                .map(|name| (name, probe.cpu_models.iter().any(|model| model.name == name)))),
        ));
        assert!(
            probe.chardevs.contains("socket")
                && probe.displays.contains("none")
                && probe.audiodevs.contains("none")
        );
        assert!(probe.objects.as_ref().is_some_and(|objects| objects.contains("memory-backend-memfd")));
        assert!(probe.spice);
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    7.2: q35 = pc-q35-7.2 with 288 CPUs and qemu64-x86_64-cpu
    netdevs: bridge dgram hubport l2tpv3 socket stream tap user vde vhost-user vhost-vdpa
    accelerators among kvm tcg: kvm tcg
    options: chardev.reconnect
    netdev options: 
    commands: query-kvm x-query-opcount
    devices: virtio-blk-pci virtio-vga-gl qxl
    CPU models: qemu64 max host

    10.0: q35 = pc-q35-10.0 with 4096 CPUs and qemu64-x86_64-cpu
    netdevs: bridge dgram hubport l2tpv3 socket stream tap user vde vhost-user vhost-vdpa
    accelerators among kvm tcg: kvm tcg
    options: chardev.reconnect chardev.reconnect-ms run-with.user
    netdev options: reconnect reconnect-ms
    commands: blockdev-set-active query-kvm x-query-opcount
    devices: virtio-blk-pci virtio-vga-gl qxl igbvf
    CPU models: qemu64 max host EPYC-Genoa SierraForest ClearwaterForest

    11.1: q35 = pc-q35-11.1 with 4096 CPUs and qemu64-x86_64-cpu
    netdevs: bridge dgram hubport l2tpv3 passt socket stream tap user vde vhost-user vhost-vdpa
    accelerators among kvm tcg: kvm tcg
    options: chardev.reconnect-ms run-with.user run-with.exit-with-parent
    netdev options: reconnect-ms
    commands: query-accelerators blockdev-set-active query-kvm
    devices: virtio-blk-pci virtio-vga-gl qxl igbvf
    CPU models: qemu64 max host EPYC-Genoa SierraForest ClearwaterForest
    ");
}

#[tokio::test]
async fn every_architecture_answers_with_its_default_machine_cpu_and_console() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut told = Vec::new();
    for arch in Arch::all() {
        // Some architectures came late or went early.
        let found = ["10.0", "7.2", "11.1"].map(|version| qemu(version, "qemu-img"));
        let mut found = found.iter().flat_map(|program| find_binary(arch, program.parent()));
        let binary = found.next().expect("a QEMU for it");
        let probe = probed(dir.path(), &binary).await;
        assert_eq!(probe.arch, arch);
        let machine = probe.machine(arch.default_machine()).expect("the default machine");
        let cpu = arch.default_cpu(probe.version);
        if let Some(cpu) = cpu {
            let models = probe.cpu_models.iter().any(|model| model.name == cpu);
            assert!(models || probe.cpu_models.is_empty(), "{arch} has no CPU model {cpu}");
        }
        told.push(format!("{arch}: {} {} {}", machine.name, cpu.unwrap_or("-"), arch.default_console()));
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    x86_64: pc-q35-10.0 max ttyS0
    i386: pc-q35-10.0 max ttyS0
    aarch64: virt-10.0 max ttyAMA0
    arm: virt-10.0 max ttyAMA0
    riscv64: virt max ttyS0
    riscv32: virt max ttyS0
    loongarch64: virt max ttyS0
    ppc64: pseries-10.0 - hvc0
    ppc: g3beige - ttyPZ0
    mips: malta - ttyS0
    mipsel: malta - ttyS0
    mips64: malta MIPS64R2-generic ttyS0
    mips64el: malta MIPS64R2-generic ttyS0
    s390x: s390-ccw-virtio-10.0 max ttysclp0
    sparc64: sun4u - ttyS0
    sparc: SS-5 - ttyS0
    m68k: virt-10.0 - ttyGF0
    hppa: B160L - ttyS0
    alpha: clipper - ttyS0
    or1k: virt - ttyS0
    microblaze: petalogix-s3adsp1800 - ttyUL0
    microblazeel: petalogix-s3adsp1800 - ttyUL0
    sh4: r2d - ttySC1
    sh4eb: r2d - ttySC1
    xtensa: sim - ttyS0
    xtensaeb: sim - ttyS0
    avr: arduino-mega-2560-v3 - ttyS0
    rx: gdbsim-r5f562n8 - ttyS0
    tricore: tricore_testboard - ttyS0
    cris: axis-dev88 - ttyS0
    nios2: 10m50-ghrd - ttyS0
    hexagon: virt - ttyS0
    ");
    // This release tells the little-endian MIPS by the name of the big-endian one.
    let mipsel = probed(dir.path(), &qemu("11.1", "qemu-system-mipsel")).await;
    assert_eq!(mipsel.arch, Arch::Mipsel);
}

#[tokio::test]
async fn an_answer_is_kept_until_the_program_changes() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let program = Counted::new(dir.path(), &qemu(version, "qemu-system-x86_64"));
        let fresh = probed(dir.path(), &program.script).await;
        let first = program.starts();
        assert!(first > 0);
        assert_eq!(probed(dir.path(), &program.script).await, fresh);
        assert_eq!(program.starts(), first, "a kept answer starts nothing");

        let mut files =
            fs::read_dir(dir.path().join("cache")).expect("the cache").map(|entry| entry.expect("it").path());
        let file = files.find(|path| path.extension().is_none()).expect("a file with the answer");
        let text = fs::read(&file).expect("it is read");
        fs::write(&file, &text[..text.len() / 2]).expect("it is cut off");
        assert_eq!(probed(dir.path(), &program.script).await, fresh);
        assert_eq!(program.starts(), 2 * first, "a damaged answer is found anew");
        assert_eq!(fs::read(&file).expect("it is mended"), text);

        let program = Counted::new(dir.path(), &qemu(version, "qemu-system-aarch64"));
        let other = probed(dir.path(), &program.script).await;
        assert_eq!((other.arch, program.starts()), (Arch::Aarch64, 3 * first), "another program is asked");
    }
}

#[test]
fn two_processes_ask_at_once() {
    const NAME: &str = "discovery::two_processes_ask_at_once";
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    if is_role(NAME) {
        let dir = PathBuf::from(std::env::var_os("QEMUCTL_TEST_DIR").expect("set"));
        let program = PathBuf::from(std::env::var_os("QEMUCTL_TEST_QEMU").expect("set"));
        let probe = runtime.block_on(probed(&dir, &program));
        println!("probed {} {}", probe.version, probe.devices.expect("devices").len());
        return;
    }
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let program = Counted::new(dir.path(), &qemu(version, "qemu-system-x86_64"));
        let start = |_| {
            let mut process = command(NAME);
            process.env("QEMUCTL_TEST_DIR", dir.path()).env("QEMUCTL_TEST_QEMU", &program.script);
            process.stdout(Stdio::piped()).spawn().expect("the test program starts")
        };
        let processes: Vec<_> = (0..4).map(start).collect();
        let lines: Vec<String> = processes
            .into_iter()
            .map(|process| {
                let output = process.wait_with_output().expect("it ends");
                assert!(output.status.success());
                let text = String::from_utf8(output.stdout).expect("text");
                text.lines().find(|line| line.contains("probed ")).expect("its answer").to_owned()
            })
            .collect();
        assert!(lines.iter().all(|line| *line == lines[0]), "{lines:?}");
        let starts = program.starts();
        // They took turns, so the first one's answer served the others, and it serves us.
        assert_eq!(starts, 3, "one conversation and two lists");
        runtime.block_on(probed(dir.path(), &program.script));
        assert_eq!(program.starts(), starts);
    }
}

#[tokio::test]
async fn the_properties_of_a_device_are_told_and_kept() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let program = Counted::new(dir.path(), &qemu(version, "qemu-system-x86_64"));
        let probe = probed(dir.path(), &program.script).await;
        let places = places(dir.path());
        let ask = |driver| probe.device_properties_in(&places, driver);
        let properties = ask("virtio-blk-pci").await.expect("an answer").expect("a driver");
        let kind = |name: &str| {
            properties.iter().find(|property| property.name == name).map(|property| &*property.kind)
        };
        assert_eq!(
            (kind("serial"), kind("num-queues"), kind("no-such")),
            (Some("str"), Some("uint16"), None)
        );
        // This came with 9.0.
        assert_eq!(kind("iothread-vq-mapping").is_some(), version != "7.2");
        assert_eq!(ask("no-such-device").await.expect("an answer"), None);
        let starts = program.starts();
        assert_eq!(ask("virtio-blk-pci").await.expect("an answer"), Some(properties));
        assert_eq!(program.starts(), starts, "a kept answer starts nothing");
    }
}

#[tokio::test]
async fn what_is_no_qemu_is_told_so() {
    let dir = tempfile::tempdir().expect("a directory");
    let script = dir.path().join("qemu-system-x86_64");
    let mut told = Vec::new();
    for text in
        ["#!/bin/sh\nexit 3\n", "#!/bin/sh\necho 'cannot load libfoo.so' >&2\nexit 127\n", "no program\n"]
    {
        fs::write(&script, text).expect("written");
        fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("made executable");
        let error = probe_in(&places(dir.path()), &script).await.expect_err("no QEMU");
        let mut line = error.to_string();
        if let Some(cause) = std::error::Error::source(&error) {
            line = format!("{line}: {cause}");
        }
        told.push(line.replace(&*dir.path().to_string_lossy(), ""));
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    /qemu-system-x86_64 does not answer like QEMU: waiting for the greeting: the connection has ended: the peer closed the connection (exit code 3)
    /qemu-system-x86_64 does not answer like QEMU: cannot load libfoo.so
    cannot start /qemu-system-x86_64: Exec format error (os error 8)
    ");
}
