//! What is left of a question to a QEMU when the asker is killed: nothing.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use qemuctl::qemu_argv::{Accelerator, TargetCpu};
use qemuctl::qemu_discovery::{accel, probe_in};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, pidfd_open};

use crate::discovery::{places, probed};
use crate::own_process::{command, is_role};
use crate::servers::{GENEROUS, until};
use crate::support::{VERSIONS, qemu};

/// A program that becomes a QEMU that never answers, and notes its process id.
fn silent(dir: &Path, version: &str) -> PathBuf {
    let script = dir.join("qemu-system-silent");
    let text = format!(
        "#!/bin/sh\necho $$ >>'{}'\nexec '{}' -machine none -S -nodefaults -display none\n",
        dir.join("pids").display(),
        qemu(version, "qemu-system-x86_64").display()
    );
    fs::write(&script, text).expect("the script is written");
    fs::set_permissions(&script, fs::Permissions::from_mode(0o755)).expect("it is made executable");
    script
}

/// The QEMUs that were started, once there are `count` of them and each has become one.
async fn started(dir: &Path, count: usize) -> Vec<Pid> {
    until("QEMUs that were started", || {
        let text = fs::read_to_string(dir.join("pids")).unwrap_or_default();
        let is_qemu = |pid: &&str| {
            fs::read_to_string(format!("/proc/{pid}/comm"))
                .is_ok_and(|name| name.starts_with("qemu-system-x86"))
        };
        let pids: Vec<_> = text.lines().filter(is_qemu).collect();
        let pid = |pid: &&str| Pid::from_raw(pid.parse().expect("a number")).expect("not 0");
        (pids.len() == count).then(|| pids.iter().map(pid).collect())
    })
    .await
}

/// Kills the process that runs `test` in its role, once it has started so many QEMUs, and waits for their end.
async fn killed(test: &str, starts: usize) {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let script = silent(dir.path(), version);
        let mut asker = command(test)
            .env("QEMUCTL_TEST_DIR", dir.path())
            .env("QEMUCTL_TEST_QEMU", &script)
            .env("QEMUCTL_TEST_VERSION", version)
            .spawn()
            .expect("the test program starts");
        let pids = started(dir.path(), starts).await;
        let alive: Vec<_> =
            pids.iter().map(|pid| pidfd_open(*pid, PidfdFlags::empty()).expect("it runs")).collect();
        asker.kill().expect("it runs");
        asker.wait().expect("it is ours");
        let limit = Timespec { tv_sec: GENEROUS.as_secs().try_into().expect("not long"), tv_nsec: 0 };
        for qemu in alive {
            let ended = poll(&mut [PollFd::new(&qemu, PollFlags::IN)], Some(&limit)).expect("poll");
            assert_eq!(ended, 1, "{version}: a QEMU outlives who asked it");
        }
    }
}

fn given(variable: &str) -> PathBuf {
    std::env::var_os(variable).expect("set").into()
}

#[tokio::test]
async fn nothing_is_left_of_a_probe() {
    const NAME: &str = "discovery_killed::nothing_is_left_of_a_probe";
    if is_role(NAME) {
        let answer = probe_in(&places(&given("QEMUCTL_TEST_DIR")), &given("QEMUCTL_TEST_QEMU")).await;
        panic!("a silent QEMU has answered: {answer:?}");
    }
    // One conversation and two lists.
    killed(NAME, 3).await;
}

#[tokio::test]
async fn nothing_is_left_of_a_trial() {
    const NAME: &str = "discovery_killed::nothing_is_left_of_a_trial";
    if is_role(NAME) {
        let version = std::env::var("QEMUCTL_TEST_VERSION").expect("set");
        let mut probe = probed(&given("QEMUCTL_TEST_DIR"), &qemu(&version, "qemu-system-x86_64")).await;
        probe.binary = given("QEMUCTL_TEST_QEMU");
        let cpu = TargetCpu::new("max");
        let trial = accel::run_trial(&probe, "q35", Accelerator::Tcg, Some(&cpu)).await;
        panic!("a silent QEMU has run a guest: {trial:?}");
    }
    killed(NAME, 1).await;
}
