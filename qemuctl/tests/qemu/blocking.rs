//! The same VM without async code.

use std::collections::BTreeSet;
use std::path::Path;
use std::time::Duration;

use qemuctl::blocking::Instance;
use qemuctl::{BlockFormat, Disk, ExitReason, IoLimits, State};

use crate::boot_sector::Guest;
use crate::support::qemu;

const GENEROUS: Duration = Duration::from_secs(120);

/// Methods of an instance that wait, in the files below a folder of sources.
fn methods(dir: &Path, found: &mut BTreeSet<String>) {
    for entry in std::fs::read_dir(dir).expect("readable") {
        let path = entry.expect("readable").path();
        if path.is_dir() && !path.ends_with("cli") {
            methods(&path, found);
        } else if path.extension().is_some_and(|ending| ending == "rs") {
            let text = std::fs::read_to_string(&path).expect("text");
            let blocks = text.split("\nimpl Instance {\n").skip(1);
            for block in blocks.map(|block| block.split("\n}\n").next().unwrap_or_default()) {
                let names = block.lines().filter_map(|line| line.strip_prefix("    pub async fn "));
                found.extend(names.map(|line| {
                    line.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect()
                }));
            }
        }
    }
}

#[test]
fn nothing_that_waits_is_missing() {
    let source = Path::new(env!("CARGO_MANIFEST_DIR")).join("src");
    let mut waiting = BTreeSet::new();
    methods(&source, &mut waiting);
    assert!(waiting.len() > 50 && waiting.contains("start") && waiting.contains("eject"), "{waiting:?}");
    let text = std::fs::read_to_string(source.join("blocking.rs")).expect("text");
    let blocking: BTreeSet<String> = text
        .lines()
        .filter_map(|line| line.strip_prefix("    pub fn ").or_else(|| line.strip_prefix("        ")))
        .map(|line| line.chars().take_while(|letter| letter.is_alphanumeric() || *letter == '_').collect())
        .collect();
    // An agent's own methods wait: what blocks has `exec`, `copy_in`, `freeze` and so on in their place.
    let missing: Vec<_> = waiting.difference(&blocking).filter(|name| *name != "agent").collect();
    assert_eq!(missing, [""; 0]);
}

#[test]
fn a_vm_is_driven_without_async_code() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = Guest::Typist.config(&qemu("10.0", "qemu-system-x86_64"), dir.path(), "vm");
    let vm = Instance::start(&config).expect("started");
    vm.expect("R\n", GENEROUS).expect("it boots");
    let mut events = vm.events();
    vm.pause().expect("paused");
    assert_eq!((vm.state(), vm.query_state().expect("answered")), (State::Paused, State::Paused));
    let event = events.next().expect("one").expect("whole");
    assert_eq!(event.event.name(), "STOP");
    vm.resume().expect("it goes on");
    vm.send_keys(["h"]).expect("typed");
    vm.type_text("i\n").expect("typed");
    vm.expect("hi\r", GENEROUS).expect("it arrives");
    vm.set_io_limits("disk0", IoLimits { bytes_total: 1 << 20, ..IoLimits::default() }).expect("set");
    assert_eq!(vm.io_limits("disk0").expect("told").bytes_total, 1 << 20);
    let image = dir.path().join("image");
    std::fs::write(&image, vec![0; 1 << 20]).expect("written");
    let disk = Disk { format: Some(BlockFormat::Raw), ..Disk::file(image) };
    assert_eq!(vm.plug(&disk).expect("plugged in"), "disk1");
    assert_eq!(vm.block_devices().expect("told").len(), 2);
    vm.unplug("disk1", Duration::from_millis(100)).expect_err("no system lets go of it");
    assert!(vm.human_monitor("info status").expect("told").contains("running"));
    assert_eq!(vm.wait_for(Duration::from_millis(50)).expect("a runtime"), None);

    let attached = Instance::attach(vm.socket().expect("it has one")).expect("attached");
    assert_eq!((attached.name(), attached.pid()), ("vm", vm.pid()));
    drop(attached);
    assert_eq!(vm.kill().expect("killed"), ExitReason::Killed { signal: 9 });
}
