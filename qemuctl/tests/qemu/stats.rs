//! What a VM uses of its host.

use std::time::Duration;

use qemuctl::{
    Instance, LaunchOptions,
    config::{NetBackend, Network, TapNet},
    control::Stats,
};

use crate::boot_sector::Guest;
use crate::servers::{isolated, scratch};
use crate::support::{VERSIONS, qemu};

/// Longer than a guest needs to do something.
const GENEROUS: Duration = Duration::from_secs(60);

/// Asks again until the answer is as wanted, which the guest's work brings about.
async fn until(vm: &Instance, wanted: impl Fn(&Stats) -> bool) -> Stats {
    let found = async {
        loop {
            let stats = vm.stats().await.expect("told");
            if wanted(&stats) {
                return stats;
            }
        }
    };
    tokio::time::timeout(GENEROUS, found).await.expect("in time")
}

#[tokio::test]
async fn processor_time_memory_and_disks_are_counted() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let config = Guest::Writer.config(&qemu(version, "qemu-system-x86_64"), dir.path(), "vm");
        let vm = Instance::start(&config).await.expect(version);
        let first = until(&vm, |stats| stats.disks.iter().any(|disk| disk.writes > 10)).await;
        let process = first.process.expect("our own process");
        // The guest's memory is 32 MiB at most, of which it has touched some; QEMU's own is some ten MiB.
        assert!((8 << 20..4 << 30).contains(&process.resident), "{version}: {process:?}");
        assert!(process.threads >= 3, "{version}: {process:?}");
        let [vcpu] = &first.vcpus[..] else { panic!("{version}: {:?}", first.vcpus) };
        assert_eq!(vcpu.index, 0);
        let disk = first.disks.iter().find(|disk| disk.id == "disk0").expect("by its id");
        // The BIOS reads the first sector; the guest writes 64 sectors at once.
        assert!(disk.read_bytes >= 512 && disk.reads >= 1, "{version}: {disk:?}");
        assert_eq!(disk.written_bytes % 512, 0, "{version}: {disk:?}");
        assert!(disk.written_bytes >= disk.writes * 512 && disk.write_time > Duration::ZERO, "{disk:?}");
        assert_eq!((disk.failed, &first.taps[..]), (0, &[][..]), "{version}");

        let later = until(&vm, |stats| {
            let used = stats.process.expect("our own process");
            used.user + used.system > process.user + process.system && stats.vcpus[0].time > vcpu.time
        });
        let later = later.await;
        assert!(later.disks[0].written_bytes >= disk.written_bytes, "{version}: they only grow");

        let attached = Instance::attach(vm.socket().expect("it has one")).await.expect("attached");
        assert!(attached.stats().await.expect("told").process.is_some(), "{version}");
        vm.kill().await.expect("killed");
        vm.stats().await.expect_err("it is gone");
    }
}

#[test]
fn taps_are_counted_by_their_names() {
    isolated(taps_are_counted_by_their_names, async {
        let dir = scratch();
        let mut config = Guest::Deaf.config(&qemu("10.0", "qemu-system-x86_64"), dir.path(), "vm");
        config.networks = vec![Network::new(NetBackend::Tap(TapNet {
            ifname: Some("counted0".into()),
            ..TapNet::default()
        }))];
        let vm = Instance::start_with(&config, &LaunchOptions::default()).await.expect("started");
        let stats = vm.stats().await.expect("told");
        let names: Vec<_> = stats.taps.iter().map(|tap| tap.interface.as_str()).collect();
        assert_eq!(names, ["counted0"]);
    });
}
