//! Machines that are saved to a file and go on where they were, on real QEMUs.

use std::fs;
use std::path::Path;
use std::time::Duration;

use qemuctl::config::{BlockFormat, Disk, Memory, Size, VmConfig};
use qemuctl::{Error, Instance, LaunchOptions, SavedState, State};

use crate::boot_sector::{Guest, leftovers};
use crate::guest_agent::{GENEROUS, boot, linux, run};
use crate::support::{VERSIONS, qemu};

fn resume(saved: &SavedState) -> LaunchOptions {
    LaunchOptions { resume: Some(saved.clone()), ready_timeout: GENEROUS, ..LaunchOptions::default() }
}

fn deaf(version: &str, dir: &Path) -> VmConfig {
    Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir, "vm")
}

#[tokio::test]
async fn a_guest_goes_on_where_it_was() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let (disk, file) = (dir.path().join("images"), dir.path().join("web, the first.state"));
        fs::create_dir(&disk).expect("created");
        let disk = disk.join("data.raw");
        fs::write(&disk, vec![0; 8 << 20]).expect("written");
        let mut config = linux(version, "x86_64", dir.path());
        config.disks.push(Disk { format: Some(BlockFormat::Raw), ..Disk::file(&disk) });
        let vm = boot(&config).await;
        let counter = "n=0; while :; do n=$((n + 1)); echo $n >/tmp/n; sleep 0.1; done";
        run(&vm, &format!("echo word | dd of=/dev/vda conv=fsync; ({counter}) >/dev/null 2>&1 &")).await;
        let number = async |vm: &Instance| -> u64 {
            run(vm, "sleep 0.5; cat /tmp/n; cat /proc/sys/kernel/random/boot_id >/tmp/id")
                .await
                .parse()
                .expect("a number")
        };
        let before = number(&vm).await;
        let (mut seen, id) = (0, run(&vm, "cat /tmp/id").await);
        let saved = vm.save(&file, |written, _| seen = written).await.expect(version);
        assert!(seen > 1 << 20 && saved.bytes() >= seen && saved.was_running(), "{version}: {saved:?}");
        assert_eq!(fs::metadata(&file).map(|file| file.len() > saved.bytes()).ok(), Some(true));
        assert!(vm.exit().is_some() && saved.name() == "linux");

        let saved = SavedState::open(&file).expect(version);
        let vm = Instance::start_with(saved.config(), &resume(&saved)).await.expect(version);
        assert_eq!(vm.state(), State::Running, "{version}");
        vm.wait_agent(GENEROUS).await.expect(version);
        let after = number(&vm).await;
        assert!(after > before && after < before + 3000, "{version}: {before}, then {after}");
        assert_eq!(
            run(&vm, "cat /proc/sys/kernel/random/boot_id; head -c 4 /dev/vda").await,
            format!("{id}\nword")
        );

        // A second one cannot begin beside it, or after it.
        let beside = VmConfig { name: Some("other".into()), ..saved.config().clone() };
        assert!(Instance::start_with(&beside, &resume(&saved)).await.is_err(), "{version}");
        assert_eq!(run(&vm, "cat /tmp/id").await, id);
        run(&vm, "echo other | dd of=/dev/vda conv=fsync").await;
        vm.kill().await.expect(version);
        let late =
            Instance::start_with(saved.config(), &resume(&saved)).await.expect_err("its disk is another");
        assert!(late.to_string().ends_with("data.raw was changed since"), "{version}: {late}");
    }
}

#[tokio::test]
async fn a_paused_one_stays_paused_and_a_failure_changes_nothing() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let (config, file) = (deaf(version, dir.path()), dir.path().join("vm.state"));
        let vm = Instance::start(&config).await.expect(version);
        let error = vm.save("/proc/vm.state", |_, _| ()).await.expect_err("nothing can be created there");
        assert!(matches!(error, Error::Io { .. }), "{version}: {error}");
        assert_eq!(vm.query_state().await.expect(version), State::Running);
        // Dropped at any moment, it runs on, or is saved.
        for pause in [0, 1, 3, 9, 27] {
            let _ = tokio::time::timeout(Duration::from_millis(pause), vm.save(&file, |_, _| ())).await;
            if file.exists() {
                // It was saved at that moment, and ends.
                tokio::time::timeout(GENEROUS, vm.wait()).await.expect(version);
                break;
            }
            let mut states = vm.states();
            let runs = states.wait_for(|state| *state == State::Running);
            drop(tokio::time::timeout(GENEROUS, runs).await.expect(version).expect(version));
            assert_eq!(leftovers(dir.path()).iter().filter(|name| name.contains("saving")).count(), 0);
        }
        if !file.exists() {
            // A new one, since an undo that is under way resumes it.
            vm.kill().await.expect(version);
            let vm = Instance::start(&config).await.expect(version);
            vm.pause().await.expect(version);
            vm.save(&file, |_, _| ()).await.expect(version);
            let again = vm.save(&file, |_, _| ()).await.expect_err("it has ended");
            assert!(matches!(again, Error::Gone { .. } | Error::Unsupported { .. }), "{version}: {again:?}");
        }
        let saved = SavedState::open(&file).expect(version);
        let vm = Instance::start_with(saved.config(), &resume(&saved)).await.expect(version);
        assert_eq!(vm.state() == State::Running, saved.was_running(), "{version}");
        vm.resume().await.expect(version);
        let taken = vm.save(&file, |_, _| ()).await.expect_err("the file is there");
        assert!(matches!(taken, Error::Io { .. }), "{version}: {taken}");
        vm.kill().await.expect(version);
    }
}

/// What a QEMU could not load is refused before one is started.
#[tokio::test]
async fn another_machine_is_refused_by_name() {
    let dir = tempfile::tempdir().expect("a directory");
    let (config, file) = (deaf("10.0", dir.path()), dir.path().join("vm.state"));
    let vm = Instance::start(&config).await.expect("started");
    let saved = vm.save(&file, |_, _| ()).await.expect("saved");
    let refused = async |config: VmConfig, words: &str| {
        let error = Instance::start_with(&config, &resume(&saved)).await.expect_err(words).to_string();
        assert!(error.contains("resuming") && error.contains(words), "{words}: {error}");
    };
    refused(VmConfig { memory: Memory::new(Size::mib(64)), ..config.clone() }, "the machine has changed")
        .await;
    refused(VmConfig { disks: Vec::new(), ..config.clone() }, "has no disk0 any more").await;
    let more = VmConfig { rng: Some(qemuctl::config::Rng::default()), ..config.clone() };
    refused(more, "had no rng0 then").await;
    for other in ["7.2", "11.1"] {
        let qemu = Some(qemu(other, "qemu-system-x86_64"));
        refused(VmConfig { qemu, ..config.clone() }, "it is of a pc-i440fx-10.0 machine").await;
    }

    // Half a file, and no state at all.
    let whole = fs::read(&file).expect("read");
    let half = dir.path().join("half.state");
    for (bytes, words) in [
        (&whole[..whole.len() - 1], "not whole"),
        (&whole[..5000], "not whole"),
        (&whole[..40], "not whole"),
        (&b"#!/bin/sh\n"[..], "not a saved state"),
        (b"", "not a saved state"),
    ] {
        fs::write(&half, bytes).expect("written");
        let error = SavedState::open(&half).expect_err(words);
        let told = qemuctl::error::explain(&error);
        assert!(told.contains(words) || told.contains("EOF"), "{words}: {told}");
    }
    // A later QEMU of the same machine type goes on with it.
    let file = dir.path().join("versioned.state");
    let mut config = deaf("7.2", dir.path());
    config.machine.kind = Some("pc-i440fx-7.2".into());
    let vm = Instance::start(&config).await.expect("started");
    let saved = vm.save(&file, |_, _| ()).await.expect("saved");
    let later = VmConfig { qemu: Some(qemu("10.0", "qemu-system-x86_64")), ..config };
    let vm = Instance::start_with(&later, &resume(&saved)).await.expect("a later QEMU");
    assert_eq!(vm.state(), State::Running);
    vm.kill().await.expect("killed");
}
