//! Faults of the host's file systems, made in a mount namespace of the test's own: nobody else sees them.

use std::io::Write;
use std::path::PathBuf;
use std::process::Command;

use qemuctl::qmp_proto::AnyEvent;
use qemuctl::{
    Error, ExitReason, Instance, LaunchOptions, State, VmConfig,
    config::{AccelChoice, BlockFormat, Disk, DiskInterface, Machine},
    error::Cause,
};

use super::{GENEROUS, failure, runtime, seen, soon};
use crate::boot_sector::{Guest, leftovers};
use crate::own_process::{command, is_role};
use crate::support::qemu;

/// Runs the test called `test` in its role, as root without a root's powers over files, after `script` has been run in a mount
/// namespace. In the script and the test, `DIR` is a private directory.
fn in_namespace(test: &str, script: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let role = command(test);
    let mut unshare = Command::new("unshare");
    if !rustix::process::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    let rest = "exec setpriv --bounding-set=-all --inh-caps=-all -- \"$@\"";
    unshare.args([
        "--mount",
        "--propagation",
        "private",
        "sh",
        "-e",
        "-c",
        &format!("{script}\n{rest}"),
        "sh",
    ]);
    unshare.arg(role.get_program()).args(role.get_args());
    for (name, value) in role.get_envs() {
        unshare.env(name, value.unwrap_or_default());
    }
    let output = unshare.env("DIR", dir.path()).output().expect("util-linux is installed");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

fn dir() -> PathBuf {
    std::env::var_os("DIR").expect("told").into()
}

fn config(guest: Guest) -> VmConfig {
    guest.config(&qemu("10.0", "qemu-system-x86_64"), &dir().join("vms"), "vm")
}

#[test]
fn what_one_may_not_open_is_told_by_its_cause() {
    const NAME: &str = "faults::namespace::what_one_may_not_open_is_told_by_its_cause";
    if !is_role(NAME) {
        // A /dev with the devices that programs need, and a kvm that nobody may open.
        let script = r#"mkdir "$DIR/dev" && mount --rbind /dev "$DIR/dev" && mount -t tmpfs none /dev
            for name in null zero full random urandom; do touch /dev/$name; mount --bind "$DIR/dev/$name" /dev/$name; done
            mkdir /dev/shm; touch /dev/kvm; chmod 0 /dev/kvm"#;
        in_namespace(NAME, script);
        return seen("things that one may not open", 2);
    }
    runtime().block_on(async {
        let unreadable = config(Guest::Deaf);
        let image = Guest::Deaf.image(&dir().join("vms"));
        let mode = std::os::unix::fs::PermissionsExt::from_mode(0o000);
        std::fs::set_permissions(image, mode).expect("it is ours");
        let failed = failure(Instance::start(&unreadable).await);
        assert_eq!(failed.cause, Cause::PermissionDenied, "{failed}");
        assert_eq!(leftovers(&dir().join("vms")), [""; 0]);

        let machine = Machine { kind: Some("pc".into()), accel: AccelChoice::Kvm, ..Machine::default() };
        let wants_kvm = VmConfig { machine, ..config(Guest::Obedient) };
        let failed = failure(Instance::start(&wants_kvm).await);
        assert_eq!(failed.cause, Cause::KvmPermission, "{failed}");
        assert_eq!(leftovers(&dir().join("vms")), [""; 0]);
    });
}

/// A directory on a file system of 1 MiB, and a file in it that fills what is left.
fn fill() -> PathBuf {
    let filler = dir().join("full").join("filler");
    let mut file = std::fs::File::create(&filler).expect("there is room for a name");
    while file.write_all(&[0; 4096]).is_ok() {}
    filler
}

#[test]
fn a_full_disk_stops_the_guest_and_lets_it_go_on() {
    const NAME: &str = "faults::namespace::a_full_disk_stops_the_guest_and_lets_it_go_on";
    if !is_role(NAME) {
        in_namespace(NAME, r#"mkdir "$DIR/full" && mount -t tmpfs -o size=16M,mode=700 none "$DIR/full""#);
        return seen("full disks", 2);
    }
    runtime().block_on(async {
        let mut config = config(Guest::Writer);
        let image = dir().join("full").join("disk.qcow2");
        let convert = Command::new(qemu("10.0", "qemu-img"))
            .args(["convert", "-O", "qcow2"])
            .arg(Guest::Writer.image(&dir().join("vms")))
            .arg(&image)
            .status();
        assert!(convert.expect("qemu-img starts").success());
        let grown = Command::new(qemu("10.0", "qemu-img")).args(["resize", "-q"]).arg(&image).arg("8M").status();
        assert!(grown.expect("qemu-img starts").success());
        config.disks =
            vec![Disk { format: Some(BlockFormat::Qcow2), interface: DiskInterface::Ide, ..Disk::file(&image) }];
        let filler = fill();
        config.paused = true;
        let vm = Instance::start(&config).await.expect("started");
        let mut events = vm.events();
        vm.resume().await.expect("resumed");
        let mut states = vm.states();
        soon(async { states.wait_for(|state| *state == State::IoError).await.map(drop) }).await.expect("alive");
        let full = soon(async {
            loop {
                if let AnyEvent::BlockIoError(error) = events.recv().await.expect("open").event {
                    return error.nospace;
                }
            }
        });
        assert_eq!(full.await, Some(true));
        assert_eq!(vm.query_state().await.expect("answered"), State::IoError);
        let told = vm.disk_errors().await.expect("told");
        assert_eq!(told.iter().map(ToString::to_string).collect::<Vec<_>>(), ["disk0: no space left for its image"]);
        let error = vm.resume().await.expect_err("it is still full");
        assert_eq!(
            error.to_string(),
            "cannot resume vm: a disk error paused it (disk0: no space left for its image)"
        );
        std::fs::remove_file(filler).expect("removed");
        vm.resume().await.expect("resumed");
        assert_eq!(vm.disk_errors().await.expect("told"), []);
        assert_eq!(vm.query_state().await.expect("answered"), State::Running);
        assert_eq!(vm.kill().await.expect("killed"), ExitReason::Killed { signal: 9 });

        // No room for the record: nothing starts, nothing stays.
        fill();
        let options = LaunchOptions { socket_dir: Some(dir().join("full")), ..LaunchOptions::default() };
        let before = leftovers(&dir().join("full"));
        let config = self::config(Guest::Deaf);
        let launch = Instance::start_with(&config, &options);
        let error = tokio::time::timeout(GENEROUS, launch).await.expect("at once").expect_err("no room");
        assert!(
            matches!(&error, Error::Io { action: "write the record", source, .. } if source.kind() == std::io::ErrorKind::StorageFull),
            "{error:?}"
        );
        assert_eq!(leftovers(&dir().join("full")), before);
    });
}
