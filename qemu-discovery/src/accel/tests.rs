//! Every verdict, on hosts and QEMUs that are scripts.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;

use qemu_argv::Version;

use super::*;

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
    async fn told(&self, choice: AccelChoice, cpu: Option<&str>) -> String {
        let tried = self.dir.path().join("tried");
        drop(fs::remove_file(&tried));
        let chosen = choose_in(&self.places, choice, &self.probe, "board", cpu).await.unwrap();
        let tried =
            fs::read_to_string(&tried).unwrap_or_else(|_| "nothing".into()).trim().replace('\n', " | ");
        format!(
            "{} {}; {}; {}; tried {tried}",
            chosen.accelerator,
            chosen.cpu.as_deref().unwrap_or("-"),
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
        machines: Vec::new(),
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
    let told = [
        all.told(hvf, None).await,
        // The second time nothing is tried.
        all.told(hvf, None).await,
        all.told(hvf, Some("Haswell")).await,
        no_host.told(hvf, None).await,
        no_host.told(hvf, Some("host,-vmx")).await,
        aborts.told(hvf, None).await,
        only_max.told(hvf, None).await,
        none.told(hvf, None).await,
        none.told(hvf, Some("Haswell")).await,
    ];
    insta::assert_snapshot!(without_times(&told.join("\n")), @r"
    hvf host; asked for; hvf ran a guest with -cpu host in N ms; no warning; tried host
    hvf host; asked for; hvf ran a guest with -cpu host in N ms; no warning; tried nothing
    hvf -; asked for; hvf ran a guest with -cpu Haswell in N ms; no warning; tried Haswell
    hvf host,-arch-capabilities; asked for; hvf ran a guest with -cpu host,-arch-capabilities in N ms; no warning; tried host | host,-arch-capabilities
    hvf host,-vmx; asked for; hvf ran a guest with -cpu host,-vmx in N ms; no warning; tried host,-vmx
    hvf host; asked for; hvf was asked for, but it looks unusable: -cpu host aborts: failed to set MSR 0x10a to 0x69; tried host | host,-arch-capabilities | max | none
    hvf max; asked for; hvf ran a guest with -cpu max in N ms; no warning; tried host | host,-arch-capabilities | max
    hvf host; asked for; hvf was asked for, but it looks unusable: -cpu host fails: no host; tried host | host,-arch-capabilities | max | none
    hvf -; asked for; hvf was asked for, but it looks unusable: -cpu Haswell fails: no Haswell; tried Haswell
    ");
}

#[cfg(target_arch = "x86_64")]
#[tokio::test]
async fn a_guest_that_crawls_ends_the_search() {
    // It starts, then uses the processor and gets nowhere.
    let host = Host::with_qemu("printf RPL0 >&0; while :; do :; done");
    let told = [host.told(AccelChoice::Hvf, None).await, host.told(AccelChoice::Hvf, None).await];
    insta::assert_snapshot!(without_times(&told.join("\n")), @r"
    hvf host; asked for; hvf was asked for, but it looks unusable: guest does not make progress: it made N of the N steps of its loop in N ms of processor time; tried host
    hvf host; asked for; hvf was asked for, but it looks unusable: guest does not make progress: it made N of the N steps of its loop in N ms of processor time; tried nothing
    ");
}

#[cfg(target_os = "linux")]
#[tokio::test]
async fn what_keeps_kvm_from_being_used_is_told() {
    let host = Host::with_qemu("exit 1");
    let mut told = vec![host.told(AccelChoice::Auto, None).await, host.told(AccelChoice::Kvm, None).await];
    let foreign = if Arch::host() == Some(Arch::S390x) { Arch::X86_64 } else { Arch::S390x };
    let foreign = Host { probe: Probe { arch: foreign, ..host.probe.clone() }, ..Host::with_qemu("exit 1") };
    told.push(foreign.told(AccelChoice::Auto, None).await);
    let mut plain = Host::with_qemu("exit 1");
    plain.probe.accelerators.remove("kvm");
    told.push(plain.told(AccelChoice::Auto, Some("Haswell")).await);
    told.push(plain.told(AccelChoice::Tcg, Some("host,-vmx")).await);
    if cfg!(target_arch = "x86_64") {
        insta::assert_snapshot!(told.join("\n"), @r"
        tcg max; /dev/kvm is missing; kvm is not usable, so the guest runs under TCG, slowly: /dev/kvm is missing (help: `sudo modprobe kvm`); tried nothing
        kvm -; asked for; kvm was asked for, but it looks unusable: /dev/kvm is missing (help: `sudo modprobe kvm`); tried nothing
        tcg max; no kvm for s390x guests on x86_64 hosts; no warning; tried nothing
        tcg -; /qemu was built without kvm; kvm is not usable, so the guest runs under TCG, slowly: /qemu was built without kvm (help: install another build of QEMU); tried nothing
        tcg max,-vmx; asked for; no warning; tried nothing
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
