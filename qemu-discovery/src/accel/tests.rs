//! Every verdict, on hosts and QEMUs that are scripts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use qemu_argv::{Props, Version};

use super::*;
use crate::probe::Machine;

struct Host {
    dir: tempfile::TempDir,
    places: Places,
    probe: Probe,
}

impl Host {
    /// A host whose QEMU is this shell script; `$cpu` is the CPU model and standard input the guest's serial port.
    fn with_qemu(script: &str) -> Self {
        let dir = tempfile::tempdir().unwrap();
        let binary = dir.path().join("qemu");
        let text = format!(
            "#!/bin/sh\ncpu=none\nwhile [ $# -gt 0 ]; do [ \"$1\" = -cpu ] && cpu=$2; shift; done\n\
             echo \"$cpu\" >>'{}'\n{script}\n",
            dir.path().join("tried").display()
        );
        fs::write(&binary, text).unwrap();
        fs::set_permissions(&binary, fs::Permissions::from_mode(0o755)).unwrap();
        let places = Places::below(dir.path());
        let probe = probe(binary);
        Self { dir, places, probe }
    }

    /// The choice in words, with the CPU models that were tried. HVF stands for any accelerator that is tried without a
    /// look at device nodes.
    async fn told(&self, choice: AccelChoice, cpu: &Cpu) -> String {
        let tried = self.dir.path().join("tried");
        drop(fs::remove_file(&tried));
        let chosen = choose_in(&self.places, choice, &self.probe, "board", cpu).await.unwrap();
        let tried =
            fs::read_to_string(&tried).unwrap_or_else(|_| "nothing".into()).trim().replace('\n', " | ");
        format!(
            "{} {}; {}; {}; tried {tried}",
            chosen.accelerator,
            chosen.cpu.map_or_else(|| "-".into(), |cpu| cpu.to_string()),
            chosen.why,
            chosen.warning.as_deref().unwrap_or("no warning")
        )
        .replace(self.dir.path().to_str().unwrap(), "")
    }
}

fn probe(binary: PathBuf) -> Probe {
    Probe {
        executable: binary.clone(),
        binary,
        version: Version::new(10, 0),
        package: String::new(),
        arch: Arch::host().unwrap(),
        machines: vec![board()],
        cpu_models: Vec::new(),
        devices: None,
        objects: None,
        accelerators: ["hvf", "kvm", "tcg"].map(str::to_owned).into(),
        commands: BTreeSet::new(),
        netdevs: BTreeMap::new(),
        chardevs: BTreeSet::new(),
        displays: BTreeSet::new(),
        audiodevs: BTreeSet::new(),
        spice: false,
        options: BTreeMap::new(),
        identity: Vec::new(),
    }
}

fn board() -> Machine {
    Machine {
        name: "board".into(),
        alias: None,
        is_default: false,
        max_cpus: 1,
        deprecated: false,
        hotpluggable_cpus: false,
        default_cpu_type: Some("qemu64-x86_64-cpu".into()),
        default_ram_id: None,
    }
}

/// This model, without vmx.
fn without_vmx(model: &str) -> Cpu {
    Cpu { features: Props::new().with("vmx", false), ..model.parse().unwrap() }
}

/// The time of a pass differs from run to run.
fn without_times(text: &str) -> String {
    text.split(' ')
        .map(|word| if word.parse::<u32>().is_ok() { "N" } else { word })
        .collect::<Vec<_>>()
        .join(" ")
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn the_best_cpu_model_that_works_is_found() {
    const PASSES: &str = "printf RPL01234567D >&0";
    let all = Host::with_qemu(PASSES);
    let no_host = Host::with_qemu(&format!(
        "case $cpu in host) echo 'qemu: error: failed to set MSR 0x10a to 0x69' >&2; kill -ABRT $$;; *) {PASSES};; esac"
    ));
    let aborts = Host::with_qemu("echo 'qemu: error: failed to set MSR 0x10a to 0x69' >&2; kill -ABRT $$");
    let only_max = Host::with_qemu(&format!(
        "case $cpu in max) {PASSES};; *) echo \"qemu: no $cpu\" >&2; exit 1;; esac"
    ));
    let none = Host::with_qemu("echo \"qemu: no $cpu\" >&2; exit 1");
    let hvf = AccelChoice::Hvf;
    let any = Cpu::default();
    let haswell = "Haswell".parse().unwrap();
    let told = [
        all.told(hvf, &any).await,
        // The second time nothing is tried.
        all.told(hvf, &any).await,
        all.told(hvf, &haswell).await,
        no_host.told(hvf, &any).await,
        no_host.told(hvf, &without_vmx("host")).await,
        no_host.told(hvf, &Cpu { model: None, ..without_vmx("host") }).await,
        aborts.told(hvf, &any).await,
        only_max.told(hvf, &any).await,
        none.told(hvf, &any).await,
        none.told(hvf, &haswell).await,
    ];
    insta::assert_snapshot!(without_times(&told.join("\n")), @r"
    hvf host; asked for; hvf ran a test guest with -cpu host in N ms; no warning; tried host
    hvf host; asked for; hvf ran a test guest with -cpu host in N ms; no warning; tried nothing
    hvf -; asked for; hvf ran a test guest with -cpu Haswell in N ms; no warning; tried Haswell
    hvf host,arch-capabilities=off; asked for; hvf ran a test guest with -cpu host,arch-capabilities=off in N ms; no warning; tried host | host,arch-capabilities=off
    hvf host; asked for; hvf ran a test guest with -cpu host,vmx=off in N ms; no warning; tried host,vmx=off
    hvf host; asked for; hvf ran a test guest with -cpu host,vmx=off in N ms; no warning; tried nothing
    hvf host; asked for; hvf was asked for, but it looks unusable: -cpu host aborts: failed to set MSR 0x10a to 0x69; tried host | host,arch-capabilities=off | max | qemu64
    hvf max; asked for; hvf ran a test guest with -cpu max in N ms; no warning; tried host | host,arch-capabilities=off | max
    hvf host; asked for; hvf was asked for, but it looks unusable: -cpu host fails: no host; tried host | host,arch-capabilities=off | max | qemu64
    hvf -; asked for; hvf was asked for, but it looks unusable: -cpu Haswell fails: no Haswell; tried Haswell
    ");
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn a_guest_that_crawls_ends_the_search() {
    // It starts, then uses the processor and gets nowhere.
    let host = Host::with_qemu("printf RPL0 >&0; while :; do :; done");
    let any = Cpu::default();
    let told = [host.told(AccelChoice::Hvf, &any).await, host.told(AccelChoice::Hvf, &any).await];
    insta::assert_snapshot!(without_times(&told.join("\n")), @r"
    hvf host; asked for; hvf was asked for, but it looks unusable: a test guest makes no progress: it made N of the N steps of its loop in N ms of CPU time; tried host
    hvf host; asked for; hvf was asked for, but it looks unusable: a test guest makes no progress: it made N of the N steps of its loop in N ms of CPU time; tried nothing
    ");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_keeps_kvm_from_being_used_is_told() {
    let host = Host::with_qemu("exit 1");
    let (any, haswell) = (Cpu::default(), "Haswell".parse().unwrap());
    let mut told = vec![host.told(AccelChoice::Auto, &any).await, host.told(AccelChoice::Kvm, &any).await];
    let foreign = if Arch::host() == Some(Arch::S390x) { Arch::X86_64 } else { Arch::S390x };
    let foreign = Host { probe: Probe { arch: foreign, ..host.probe.clone() }, ..Host::with_qemu("exit 1") };
    told.push(foreign.told(AccelChoice::Auto, &any).await);
    let mut plain = Host::with_qemu("exit 1");
    plain.probe.accelerators.remove("kvm");
    told.push(plain.told(AccelChoice::Auto, &haswell).await);
    told.push(plain.told(AccelChoice::Tcg, &without_vmx("host")).await);
    if cfg!(target_arch = "x86_64") {
        insta::assert_snapshot!(told.join("\n"), @r"
        tcg max; /dev/kvm is missing; no KVM, the guest runs slowly (TCG); `qemuctl doctor` says why; tried nothing
        kvm -; asked for; kvm was asked for, but it looks unusable: /dev/kvm is missing (help: `sudo modprobe kvm`); tried nothing
        tcg max; no kvm for s390x guests on x86_64 hosts; no warning; tried nothing
        tcg -; /qemu was built without kvm; no KVM, the guest runs slowly (TCG); `qemuctl doctor` says why; tried nothing
        tcg max; asked for; no warning; tried nothing
        ");
    }
}

#[test]
fn tcg_is_multi_threaded_where_the_host_orders_memory_as_the_guest_expects() {
    let cases = [
        (Arch::X86_64, Arch::X86_64, true),
        (Arch::Aarch64, Arch::X86_64, true),
        (Arch::X86_64, Arch::Aarch64, false),
        (Arch::Riscv64, Arch::Aarch64, true),
    ];
    for (guest, host, expected) in cases {
        assert_eq!(tcg_is_multi_threaded(guest, Some(host)), expected, "{guest} on {host}");
    }
}
