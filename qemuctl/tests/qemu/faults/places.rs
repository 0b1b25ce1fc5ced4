//! Names, directories, sockets and records that are not as they should be.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::os::unix::net::UnixListener;
use std::path::Path;

use qemuctl::runtime::Record;
use qemuctl::{Error, ExitReason, Instance, LaunchOptions, VmConfig};
use tokio::task::JoinSet;

use super::seen;
use crate::boot_sector::{Guest, leftovers};
use crate::support::qemu;

fn config(dir: &Path) -> VmConfig {
    Guest::Deaf.config(&qemu("10.0", "qemu-system-x86_64"), dir, "vm")
}

/// Starts a VM, sees that its files are private, and kills it: the place is good.
async fn works(config: &VmConfig) {
    let vm = Instance::start(config).await.expect("started");
    for entry in config.socket_dir.as_ref().expect("given").read_dir().expect("readable") {
        let entry = entry.expect("readable");
        if entry.file_name() != "images" {
            let mode = entry.metadata().expect("there").permissions().mode() & 0o777;
            assert_eq!(mode, 0o600, "{}", entry.path().display());
        }
    }
    assert_eq!(vm.kill().await.expect("killed"), ExitReason::Killed { signal: 9 });
}

#[tokio::test]
async fn a_directory_that_is_not_safe_is_refused_and_one_that_goes_away_is_no_harm() {
    let base = tempfile::tempdir().expect("a directory");
    let refused = |dir: &Path| {
        let config = VmConfig { socket_dir: Some(dir.to_owned()), ..config(base.path()) };
        async move { Instance::start(&config).await.expect_err("refused") }
    };
    let link = base.path().join("link");
    symlink(base.path(), &link).expect("linked");
    assert!(matches!(refused(&link).await, Error::SocketDirUnsafe { .. }));
    let open = base.path().join("open");
    fs::create_dir(&open).expect("created");
    fs::set_permissions(&open, fs::Permissions::from_mode(0o777)).expect("changed");
    assert!(matches!(refused(&open).await, Error::SocketDirUnsafe { .. }));
    // Somebody else's: for root one that it gave away, for others the root directory.
    let foreign = base.path().join("foreign");
    fs::create_dir(&foreign).expect("created");
    let foreign = match std::os::unix::fs::chown(&foreign, Some(65534), None) {
        Ok(()) => foreign,
        Err(_) => "/".into(),
    };
    assert!(matches!(refused(&foreign).await, Error::SocketDirUnsafe { .. }));

    // It is gone, or something else is in its place, by the time the VM ends.
    let dir = base.path().join("vms");
    for planted in [false, true] {
        let vm = Instance::start(&config(&dir)).await.expect("started");
        let moved = base.path().join(format!("moved{planted}"));
        fs::rename(&dir, &moved).expect("moved");
        if planted {
            let victim = base.path().join("victim");
            fs::create_dir(&victim).expect("created");
            for name in ["vm.json", "vm.sock", "vm.lock", "vm.console0.sock"] {
                fs::write(victim.join(name), "dear").expect("written");
            }
            symlink(&victim, &dir).expect("linked");
            vm.kill().await.expect("killed");
            assert_eq!(leftovers(&victim).len(), 4);
        } else {
            fs::remove_dir_all(&moved).expect("removed");
            vm.kill().await.expect("killed");
            continue;
        }
        assert_eq!(leftovers(&moved), [""; 0]);
    }
    fs::remove_file(&dir).expect("the link goes");
    works(&config(&dir)).await;
    assert_eq!(leftovers(&dir), [""; 0]);
    seen("directories that are not as they should be", 5);
}

#[tokio::test]
async fn a_path_that_is_too_long_and_a_name_that_is_no_file_name_are_refused_before_anything_starts() {
    let base = tempfile::tempdir().expect("a directory");
    let deep = base.path().join("d".repeat(100));
    let error = Instance::start(&config(&deep)).await.expect_err("too long");
    assert!(error.to_string().contains("can have at most 107"), "{error}");
    assert_eq!(leftovers(&deep), [""; 0]);
    let dir = base.path().join("vms");
    for name in ["", "../vm", "a/b", ".hidden", "-rf", "a\nb", "vm.console0", &"x".repeat(201)] {
        let config = VmConfig { name: Some(name.to_owned()), ..config(&dir) };
        let error = Instance::start(&config).await.expect_err(name);
        assert!(matches!(error, Error::InvalidName { .. }), "{error}");
    }
    assert!(!dir.join("vm").exists() && leftovers(&dir).len() <= 1, "nothing was made");
    // Left out, a name is made up.
    let unnamed = VmConfig { name: None, disks: Vec::new(), ..config(&dir) };
    let (one, two) = (Instance::start(&unnamed).await, Instance::start(&unnamed).await);
    let (one, two) = (one.expect("started"), two.expect("started"));
    assert!(one.name().starts_with("vm-") && one.name() != two.name(), "{} {}", one.name(), two.name());
    drop((one, two));
    assert_eq!(leftovers(&dir), [""; 0]);
    seen("paths and names that are refused", 9);
}

#[tokio::test]
async fn of_many_launchers_of_one_name_one_wins() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut launchers = JoinSet::new();
    for _ in 0..8 {
        let config = config(dir.path());
        launchers.spawn(async move { Instance::start(&config).await });
    }
    let (mut winners, mut losers) = (Vec::new(), Vec::new());
    for result in launchers.join_all().await {
        match result {
            Ok(vm) => winners.push(vm),
            Err(error) => losers.push(error.to_string()),
        }
    }
    assert_eq!((winners.len(), losers.len()), (1, 7));
    assert!(
        losers.iter().all(|error| error == "a VM called vm is already running (another launcher)"),
        "{losers:?}"
    );
    drop(winners);
    assert_eq!(leftovers(dir.path()), [""; 0]);
    seen("launchers at once", 8);
}

#[tokio::test]
async fn what_a_dead_vm_left_is_taken_over_and_what_lives_is_not() {
    let dir = tempfile::tempdir().expect("a directory");
    let path = |ending: &str| dir.path().join(format!("vm{ending}"));
    // A socket that nobody listens at, and half a record.
    drop(UnixListener::bind(path(".sock")).expect("bound"));
    drop(UnixListener::bind(path(".console0.sock")).expect("bound"));
    fs::write(path(".json"), "{").expect("written");
    works(&config(dir.path())).await;
    assert_eq!(leftovers(dir.path()), [""; 0]);

    // Somebody listens there.
    let listener = UnixListener::bind(path(".sock")).expect("bound");
    let error = Instance::start(&config(dir.path())).await.expect_err("somebody lives");
    assert!(matches!(error, Error::NameTaken { .. }), "{error}");
    drop(listener);
    fs::remove_file(path(".sock")).expect("removed");

    // A file of somebody who never thought of us.
    fs::write(path(".sock"), "dear").expect("written");
    Instance::start(&config(dir.path())).await.expect_err("it is no socket");
    assert_eq!(fs::read_to_string(path(".sock")).expect("there"), "dear");
    fs::remove_file(path(".sock")).expect("removed");
    seen("leftovers", 4);
}

#[tokio::test]
async fn a_recycled_process_id_is_nobody() {
    let dir = tempfile::tempdir().expect("a directory");
    let vm = Instance::start_detached(&config(dir.path()), &LaunchOptions::default()).await.expect("started");
    let record = fs::read_to_string(dir.path().join("vm.json")).expect("readable");
    vm.kill().await.expect("killed");
    assert_eq!(leftovers(dir.path()), [""; 0]);
    // The record of a VM whose process id is another process's by now: ours.
    let mut record: serde_json::Value = serde_json::from_str(&record).expect("JSON");
    record["pid"] = std::process::id().into();
    fs::write(dir.path().join("vm.json"), record.to_string()).expect("written");
    let read = Record::read(dir.path(), "vm").expect("readable").expect("there");
    assert!(!read.is_alive());
    let error = Instance::attach_name_in(dir.path(), "vm").await.expect_err("nobody");
    assert!(matches!(error, Error::NotFound { .. }), "{error}");
    works(&config(dir.path())).await;
    assert_eq!(leftovers(dir.path()), [""; 0]);
    seen("recycled process ids", 1);
}
