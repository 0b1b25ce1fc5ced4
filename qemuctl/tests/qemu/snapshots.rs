//! Snapshots of machines that run and of machines that are off, on real QEMUs.

use std::collections::BTreeMap;
use std::path::Path;
use std::time::Duration;

use qemuctl::config::{Disk, Rate, Throttle, VmConfig};
use qemuctl::image::{CreateOptions, Image, ImageError, QemuImg};
use qemuctl::snapshot::{DiskSet, Quiesce, Snapshot, SnapshotOptions, free_tag};
use qemuctl::{Error, Instance, State};

use crate::boot_sector::Guest;
use crate::guest_agent::{boot, linux, run};
use crate::support::{VERSIONS, qemu};

const DISKS_ONLY: SnapshotOptions = SnapshotOptions { memory: false, quiesce: Quiesce::Auto };

fn tool(version: &str) -> QemuImg {
    QemuImg::at(qemu(version, "qemu-img"))
}

async fn image(tool: &QemuImg, dir: &Path, name: &str) -> Disk {
    let path = dir.join(name);
    let size = qemuctl::config::Size::mib(32);
    tool.create(&Image::by_name(&path).expect("a format"), &CreateOptions::sized(size))
        .await
        .expect("created");
    Disk::file(path)
}

fn tags(snapshots: &[Snapshot]) -> Vec<&str> {
    snapshots.iter().map(|snapshot| &snapshot.tag[..]).collect()
}

async fn assert_sound(tool: &QemuImg, disk: &Disk) {
    let qemuctl::config::DiskBackend::File(file) = &disk.backend else { panic!("{disk:?}") };
    let report = tool.check(&Image::by_name(&file.path).expect("a format"), None).await.expect("checked");
    assert_eq!((report.corruptions, report.check_errors), (0, 0), "{report:?}");
}

/// A guest's files in memory and on two disks go back with the snapshot that it runs on from, and the same snapshots
/// are there when it is off.
#[tokio::test]
async fn a_guest_goes_back_in_time_running_and_off() {
    for version in VERSIONS {
        let (dir, tool) = (tempfile::tempdir().expect("a directory"), tool(version));
        let mut config = linux(version, "x86_64", dir.path());
        let throttled = Disk {
            throttle: Some(Throttle { iops: Some(Rate::new(5000)), ..Throttle::default() }),
            ..image(&tool, dir.path(), "two.qcow2").await
        };
        config.disks.extend([image(&tool, dir.path(), "one.qcow2").await, throttled]);
        let off = DiskSet::of(&config).expect("two images");
        assert_eq!(off.create(&tool, "empty").await.expect(version).disks.len(), 2);

        let vm = boot(&config).await;
        let write =
            "echo $1 >/tmp/memory; for disk in /dev/vda /dev/vdb; do echo $1 | dd of=$disk conv=fsync; done";
        let write = |word: &str| write.replace("$1", word);
        let read = "cat /tmp/memory; head -c 6 /dev/vda; head -c 6 /dev/vdb";
        run(&vm, &write("first")).await;
        let taken = vm.create_snapshot("with memory", &SnapshotOptions::default()).await.expect(version);
        assert!(taken.snapshot.has_memory() && !taken.quiesced, "{version}: {taken:?}");
        assert_eq!(vm.state(), State::Running);
        run(&vm, &write("other")).await;
        let taken = vm.create_snapshot("disks", &DISKS_ONLY).await.expect(version);
        assert!(!taken.snapshot.has_memory() && taken.quiesced, "{version}: {taken:?}");
        assert_eq!(run(&vm, "cat /tmp/memory").await.trim(), "other", "{version}: it is thawed");

        let again = vm.create_snapshot("disks", &DISKS_ONLY).await.expect_err("the name is taken");
        assert!(again.to_string().contains("already"), "{again}");
        let without = vm.revert_to_snapshot("disks").await.expect_err("without memory");
        assert!(without.to_string().contains("stop the machine first"), "{without}");
        let none = vm.revert_to_snapshot("none").await.expect_err("there is none");
        assert!(matches!(none, Error::Missing { .. }), "{none}");
        assert_eq!(vm.state(), State::Running, "{version}: a refusal changes nothing");

        vm.revert_to_snapshot("with memory").await.expect(version);
        assert_eq!(vm.state(), State::Running);
        let told = run(&vm, read).await;
        assert_eq!(told.split_whitespace().collect::<Vec<_>>(), ["first"; 3], "{version}");
        // Paused, it goes back to a running guest as well.
        vm.pause().await.expect(version);
        vm.revert_to_snapshot("with memory").await.expect(version);
        assert_eq!(tags(&vm.snapshots().await.expect(version)), ["empty", "with memory", "disks"]);
        vm.delete_snapshot("empty").await.expect(version);
        let listed = vm.snapshots().await.expect(version);
        assert!(vm.delete_snapshot("empty").await.is_err());
        vm.stop(Duration::ZERO).await.expect(version);

        assert_eq!(off.snapshots(&tool).await.expect(version), listed, "{version}: off as running");
        assert_eq!(free_tag(&listed), "s1");
        for (tag, word) in [("disks", "other"), ("with memory", "first")] {
            off.revert(&tool, tag).await.expect(version).expect("there is one");
            let vm = boot(&config).await;
            let told = run(&vm, "head -c 6 /dev/vda; head -c 6 /dev/vdb").await;
            assert_eq!(told.split_whitespace().collect::<Vec<_>>(), [word; 2], "{version}: {tag}");
            vm.stop(Duration::ZERO).await.expect(version);
        }
        assert!(off.revert(&tool, "none").await.expect(version).is_none());
        for disk in &config.disks {
            assert_sound(&tool, disk).await;
        }
    }
}

/// What would leave a machine half reverted is refused before anything changes.
#[tokio::test]
async fn what_cannot_be_whole_is_refused() {
    let version = VERSIONS[1];
    let (dir, tool) = (tempfile::tempdir().expect("a directory"), tool(version));
    let qemu = qemu(version, "qemu-system-x86_64");
    // A raw image cannot go back.
    let config = Guest::Deaf.config(&qemu, dir.path(), "raw");
    let vm = Instance::start(&config).await.expect("started");
    let error = vm.create_snapshot("s1", &DISKS_ONLY).await.expect_err("raw");
    assert!(error.to_string().contains("disk0 is in the format raw, which has no snapshots"), "{error}");
    vm.kill().await.expect("killed");
    let error = DiskSet::of(&config).expect_err("raw");
    assert!(error.to_string().contains("the format raw has no snapshots"), "{error}");

    // A disk that came later is not in an older snapshot.
    let mut config = VmConfig { name: Some("later".into()), disks: Vec::new(), ..config };
    config.disks.push(image(&tool, dir.path(), "one.qcow2").await);
    let vm = Instance::start(&config).await.expect("started");
    vm.create_snapshot("old", &SnapshotOptions::default()).await.expect("taken");
    let two = image(&tool, dir.path(), "two.qcow2").await;
    vm.plug(&two).await.expect("plugged");
    assert_eq!(vm.snapshots().await.expect("listed")[0].missing, ["disk1"]);
    let error = vm.revert_to_snapshot("old").await.expect_err("not whole");
    assert!(error.to_string().contains("does not contain disk1"), "{error}");
    assert_eq!(vm.state(), State::Running);
    for tag in ["7", "", "a\tb"] {
        let error = vm.create_snapshot(tag, &DISKS_ONLY).await.expect_err("a bad name");
        assert!(error.to_string().contains("a snapshot's name"), "{error}");
    }

    // The images of a machine that runs are its own.
    let off = DiskSet::of(&config).expect("an image");
    let error = off.create(&tool, "behind its back").await.expect_err("in use");
    assert!(matches!(error, ImageError::InUse { .. }), "{error}");
    assert!(off.revert(&tool, "old").await.is_err() && off.delete(&tool, "old").await.is_err());
    assert_eq!(tags(&vm.snapshots().await.expect("listed")), ["old"]);
    vm.kill().await.expect("killed");

    // Of several images, all have it or none.
    config.disks.push(two);
    let off = DiskSet::of(&config).expect("two images");
    let other = Guest::Deaf.config(&qemu, dir.path(), "other");
    let other = VmConfig { disks: vec![config.disks[1].clone()], ..other };
    let holder = Instance::start(&other).await.expect("started");
    let error = off.create(&tool, "half").await.expect_err("one is in use");
    assert!(matches!(error, ImageError::InUse { .. }), "{error}");
    holder.kill().await.expect("killed");
    assert_eq!(tags(&off.snapshots(&tool).await.expect("listed")), ["old"]);
}

/// QEMU is killed at any moment of a snapshot: the images are sound, and what was there before is there still.
#[tokio::test]
async fn a_qemu_that_is_killed_meanwhile_loses_nothing() {
    for (number, version) in VERSIONS.iter().cycle().take(12).enumerate() {
        let (dir, tool) = (tempfile::tempdir().expect("a directory"), tool(version));
        let mut config = Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir.path(), "vm");
        config.disks =
            vec![image(&tool, dir.path(), "one.qcow2").await, image(&tool, dir.path(), "two.qcow2").await];
        let vm = Instance::start(&config).await.expect("started");
        vm.human_monitor("qemu-io disk0 \"write -P 7 0 64k\"").await.expect("written");
        vm.create_snapshot("kept", &SnapshotOptions::default()).await.expect("taken");
        let options = SnapshotOptions { memory: number % 2 == 0, quiesce: Quiesce::Never };
        let taking = vm.create_snapshot("lost", &options);
        let killing = async {
            tokio::time::sleep(Duration::from_micros(700 * number as u64)).await;
            vm.kill().await
        };
        let (taken, killed) = tokio::join!(taking, killing);
        killed.expect("killed");
        let off = DiskSet::of(&config).expect("two images");
        let listed = off.snapshots(&tool).await.expect("listed");
        assert_eq!(listed[0].tag, "kept");
        assert!(listed[0].missing.is_empty() && listed.len() <= 2, "{listed:?}");
        if taken.is_ok() {
            assert!(listed.len() == 2 && listed[1].missing.is_empty(), "{listed:?}");
        }
        off.revert(&tool, "kept").await.expect("reverted").expect("there is one");
        // What is half there can be deleted.
        off.delete(&tool, "lost").await.expect("deleted");
        for disk in &config.disks {
            assert_sound(&tool, disk).await;
        }
        let vm = Instance::start(&config).await.expect("it starts again");
        let read = vm.human_monitor("qemu-io disk0 \"read -P 7 0 64k\"").await.expect("read");
        assert!(!read.contains("failed"), "{read}");
        vm.kill().await.expect("killed");
    }
}

/// Random sequences, with a model of what each snapshot contains beside them.
#[tokio::test]
async fn random_sequences_are_as_a_model_says() {
    for (seed, version) in (1..=20_u64).zip(VERSIONS.iter().cycle()) {
        let (dir, tool) = (tempfile::tempdir().expect("a directory"), tool(version));
        let mut config = Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir.path(), "vm");
        config.disks = vec![image(&tool, dir.path(), "one.qcow2").await];
        let off = DiskSet::of(&config).expect("an image");
        let mut random = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let mut below = |limit: u64| {
            random ^= random << 13;
            random ^= random >> 7;
            random ^= random << 17;
            random % limit
        };
        // The pattern of each of eight blocks.
        let (mut now, mut model) = ([0_u64; 8], BTreeMap::new());
        let mut vm: Option<Instance> = None;
        for step in 0..14 {
            let tag = format!("t{}", below(3));
            let context = format!("{version}, seed {seed}, step {step}, {tag}");
            match below(5) {
                0 => match vm.take() {
                    Some(vm) => drop(vm.kill().await.expect(&context)),
                    None => vm = Some(Instance::start(&config).await.expect(&context)),
                },
                1 if !model.contains_key(&tag) => {
                    match &vm {
                        Some(vm) => {
                            vm.create_snapshot(&tag, &SnapshotOptions::default()).await.expect(&context);
                        }
                        None => drop(off.create(&tool, &tag).await.expect(&context)),
                    }
                    model.insert(tag, (now, vm.is_some()));
                }
                2 if model.contains_key(&tag) => {
                    let (then, has_memory) = model[&tag];
                    match &vm {
                        Some(vm) if has_memory => drop(vm.revert_to_snapshot(&tag).await.expect(&context)),
                        Some(vm) => {
                            vm.revert_to_snapshot(&tag).await.expect_err(&context);
                            continue;
                        }
                        None => drop(off.revert(&tool, &tag).await.expect(&context).expect(&context)),
                    }
                    now = then;
                }
                3 if model.contains_key(&tag) => {
                    match &vm {
                        Some(vm) => drop(vm.delete_snapshot(&tag).await.expect(&context)),
                        None => drop(off.delete(&tool, &tag).await.expect(&context).expect(&context)),
                    }
                    model.remove(&tag);
                }
                _ => {
                    let (block, pattern) = (below(8), 1 + below(200));
                    if let Some(vm) = &vm {
                        let write = format!("qemu-io disk0 \"write -P {pattern} {block}M 1M\"");
                        vm.human_monitor(&write).await.expect(&context);
                        now[usize::try_from(block).expect("small")] = pattern;
                    }
                }
            }
            if let Some(vm) = &vm {
                for (block, pattern) in now.iter().enumerate() {
                    let read = format!("qemu-io disk0 \"read -P {pattern} {block}M 1M\"");
                    let told = vm.human_monitor(&read).await.expect(&context);
                    assert!(!told.contains("failed"), "{context}: block {block}: {told}");
                }
            }
            let listed = match &vm {
                Some(vm) => vm.snapshots().await.expect(&context),
                None => off.snapshots(&tool).await.expect(&context),
            };
            let mut listed = tags(&listed);
            listed.sort_unstable();
            assert_eq!(listed, model.keys().map(String::as_str).collect::<Vec<_>>(), "{context}");
        }
        if let Some(vm) = vm {
            vm.kill().await.expect("killed");
        }
        assert_sound(&tool, &config.disks[0]).await;
    }
}
