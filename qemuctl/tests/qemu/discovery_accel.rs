//! Which accelerator runs guests on this very machine.

use std::fs;

use qemuctl::qemu_discovery::accel::{self, Stage, Trial};
use qemuctl::{
    Instance, VmConfig,
    config::{AccelChoice, Arch, Cpu, Machine},
    qemu_argv::{Accelerator, TargetCpu},
};

use crate::discovery::{Counted, places, probed};
use crate::servers::GENEROUS;
use crate::support::{VERSIONS, qemu};

#[tokio::test]
async fn the_small_guest_runs_on_every_release_and_machine() {
    let dir = tempfile::tempdir().expect("a directory");
    for version in VERSIONS {
        let x86 = probed(dir.path(), &qemu(version, "qemu-system-x86_64")).await;
        let i386 = probed(dir.path(), &qemu(version, "qemu-system-i386")).await;
        let arm = probed(dir.path(), &qemu(version, "qemu-system-aarch64")).await;
        let cases = [
            (&x86, "q35", "max"),
            (&x86, "pc", "qemu64"),
            (&x86, "microvm", "qemu64"),
            // Without long mode.
            (&x86, "q35", "pentium2"),
            (&i386, "q35", "max"),
            (&arm, "virt", "max"),
            (&arm, "virt", "cortex-a57"),
        ];
        for (probe, machine, cpu) in cases {
            let trial = accel::run_trial(probe, machine, Accelerator::Tcg, Some(&TargetCpu::new(cpu)))
                .await
                .expect("it starts");
            assert!(
                matches!(trial, Trial::Passed { .. }),
                "{version} {} {machine} {cpu:?}: {trial:?}",
                probe.arch
            );
        }
        let trial = accel::run_trial(&x86, "q35", Accelerator::Tcg, Some(&TargetCpu::new("no-such-model")))
            .await
            .expect("it starts");
        let Trial::Died { stage: Stage::Nothing, signal: None, words, .. } = trial else {
            panic!("{trial:?}")
        };
        assert_eq!(words, "unable to find CPU model 'no-such-model'");
    }
}

#[tokio::test]
async fn automatic_acceleration_is_true_and_remembered() {
    let flags = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let can_virtualize = flags.split_whitespace().any(|flag| flag == "vmx" || flag == "svm");
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let places = places(dir.path());
        let program = Counted::new(dir.path(), &qemu(version, "qemu-system-x86_64"));
        let probe = probed(dir.path(), &program.script).await;
        let any = Cpu::default();
        let choose = || accel::choose_in(&places, AccelChoice::Auto, &probe, "q35", &any);
        let first = choose().await.expect("an answer");
        if cfg!(target_arch = "x86_64") && !can_virtualize {
            assert_eq!(first.accelerator, Accelerator::Tcg, "a KVM that only emulates is no good: {first:?}");
        }
        let starts = program.starts();
        assert_eq!(choose().await.expect("an answer"), first);
        assert_eq!(program.starts(), starts, "a kept answer starts nothing");
        match first.accelerator {
            Accelerator::Tcg => {
                assert_eq!(first.cpu, Some(TargetCpu::new("max")));
                assert!(first.warning.is_some_and(|warning| warning.contains("the guest runs slowly")));
            }
            accelerator => {
                let trial = accel::run_trial(&probe, "q35", accelerator, first.cpu.as_ref())
                    .await
                    .expect("it starts");
                assert!(matches!(trial, Trial::Passed { .. }), "{trial:?}");
                assert_eq!(first.warning, None);
            }
        }
    }
}

#[tokio::test]
async fn a_named_accelerator_is_obeyed() {
    let dir = tempfile::tempdir().expect("a directory");
    let places = places(dir.path());
    let probe = probed(dir.path(), &qemu("10.0", "qemu-system-aarch64")).await;
    let (places, probe) = (&places, &probe);
    let choose =
        |choice, cpu: Cpu| async move { accel::choose_in(places, choice, probe, "virt", &cpu).await };
    let any = Cpu::default;
    let hvf = choose(AccelChoice::Hvf, any()).await.expect("an answer");
    assert_eq!(hvf.accelerator, Accelerator::Hvf);
    assert_eq!(hvf.warning.is_some(), !cfg!(target_os = "macos"));
    let tcg = choose(AccelChoice::Tcg, any()).await.expect("an answer");
    assert_eq!(
        (tcg.accelerator, tcg.cpu, tcg.warning),
        (Accelerator::Tcg, Some(TargetCpu::new("max")), None)
    );
    let named = choose(AccelChoice::Tcg, "cortex-a72".parse().expect("any text")).await.expect("an answer");
    assert_eq!(named.cpu, None, "the caller's own word stands");
    let host = choose(AccelChoice::Tcg, "host".parse().expect("any text")).await.expect("an answer");
    assert_eq!(host.cpu, Some(TargetCpu::new("max")));
    if cfg!(target_arch = "x86_64") {
        let auto = choose(AccelChoice::Auto, any()).await.expect("an answer");
        assert_eq!(auto.why, "no kvm for aarch64 guests on x86_64 hosts");
        assert_eq!((auto.accelerator, auto.warning), (Accelerator::Tcg, None));
    }
}

#[tokio::test]
async fn a_machine_starts_with_the_kvm_that_was_asked_for() {
    let opens = fs::OpenOptions::new().read(true).write(true).open("/dev/kvm").is_ok();
    for version in VERSIONS {
        for model in [None, Some("host"), Some("qemu64")] {
            let dir = tempfile::tempdir().expect("a directory");
            let config = VmConfig {
                name: Some("vm".into()),
                qemu: Some(qemu(version, "qemu-system-x86_64")),
                arch: Some(Arch::X86_64),
                machine: Machine { accel: AccelChoice::Kvm, ..Machine::default() },
                cpu: Cpu { model: model.map(str::to_owned), ..Cpu::default() },
                socket_dir: Some(dir.path().into()),
                paused: true,
                ..VmConfig::default()
            };
            let started = Instance::start(&config).await;
            if !opens {
                let error = started.expect_err("there is no KVM").to_string();
                assert!(error.contains("KVM"), "{version} {model:?}: {error}");
                continue;
            }
            let vm = started.unwrap_or_else(|error| panic!("{version} {model:?}: {error}"));
            let kvm = vm.human_monitor("info kvm").await.expect("an answer");
            assert_eq!(kvm.trim(), "kvm support: enabled", "{version} {model:?}");
            vm.quit(GENEROUS).await.expect("it ends");
        }
    }
}
