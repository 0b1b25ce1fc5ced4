//! Machines that go on from what an earlier one left behind: a snapshot, a recording.

use super::world::World;
use crate::support::VERSIONS;

#[test]
fn a_machine_goes_on_from_its_snapshot() {
    for version in VERSIONS {
        let world = World::new(version);
        let config = world.machine("load-snapshot");
        let mut first = config.clone();
        first.load_snapshot = None;
        let plan = world.plan(&first).expect("a plan");
        world.furnish(&first, &plan);
        let mut vm = world.start(&first, &plan);
        vm.ready().expect(version);
        assert_eq!(vm.monitor("savevm booted"), "", "{version}");
        let (status, said) = vm.quit();
        assert!(status.success() && said.is_empty(), "{version}: {status}: {said}");

        let plan = world.plan(&config).expect("a plan");
        let mut vm = world.start(&config, &plan);
        vm.ready().expect(version);
        assert!(vm.monitor("info snapshots").contains("booted"), "{version}");
        let (status, said) = vm.quit();
        assert!(status.success() && said.is_empty(), "{version}: {status}: {said}");
    }
}

#[test]
fn what_was_recorded_is_executed_again() {
    for version in VERSIONS {
        let world = World::new(version);
        for name in ["replay", "replay-again"] {
            let mut config = world.machine(name);
            // Both are the same machine.
            if name == "replay" {
                config.firmware = None;
                config.networks.clear();
                config.disks.clear();
            }
            // Neither has a disk for it.
            let replay = config.debug.icount.as_mut().and_then(|icount| icount.replay.as_mut());
            replay.expect("a recording").snapshot = None;
            let plan = world.plan(&config).expect("a plan");
            world.furnish(&config, &plan);
            let mut vm = world.start(&config, &plan);
            vm.ready().expect(version);
            let mode = vm.query("query-replay", &serde_json::json!({}))["mode"].clone();
            assert_eq!(mode, if name == "replay" { "record" } else { "play" }, "{version}");
            let (status, said) = vm.quit();
            assert!(status.success() && said.is_empty(), "{version} {name}: {status}: {said}");
        }
    }
}
