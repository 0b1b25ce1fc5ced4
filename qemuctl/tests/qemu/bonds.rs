//! What a started QEMU is tied to: the process that was started, its launcher, its limits, and what it gets of secrets.

use std::fs;
use std::io::Read;
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use qemuctl::{
    Error, Instance, LaunchOptions, Ownership, SecretSource, VmConfig,
    config::{Sandbox, Secret},
    error::Cause,
};

use crate::boot_sector::{Guest, leftovers};
use crate::secrets;
use crate::support::{VERSIONS, qemu};

async fn launch(config: &VmConfig, options: &LaunchOptions, ownership: Ownership) -> Result<Instance, Error> {
    match ownership {
        Ownership::Detached => Instance::start_detached(config, options).await,
        _ => Instance::start_with(config, options).await,
    }
}

/// The processes that have `word` in their command line.
fn processes_with(word: &str) -> Vec<String> {
    let all = fs::read_dir("/proc").expect("proc").filter_map(|entry| {
        let folder = entry.ok()?.path();
        folder.file_name()?.to_str()?.parse::<u32>().ok()?;
        Some(String::from_utf8_lossy(&fs::read(folder.join("cmdline")).ok()?).into_owned())
    });
    all.filter(|line| line.contains(word)).collect()
}

fn script(dir: &Path, text: &str) -> PathBuf {
    let path = dir.join("qemu-system-x86_64");
    fs::write(&path, format!("#!/bin/sh\n{text}\n")).expect("written");
    fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).expect("set");
    path
}

#[tokio::test]
async fn a_wrapper_that_does_not_become_qemu_is_refused_and_nothing_of_it_runs_on() {
    for version in VERSIONS {
        let real = qemu(version, "qemu-system-x86_64").display().to_string();
        for ownership in [Ownership::Owned, Ownership::Detached] {
            for (text, cause) in [
                (format!("'{real}' \"$@\""), Cause::Wrapped),
                // Leaves QEMU behind and ends.
                (format!("'{real}' \"$@\" <&0 &"), Cause::NotQemu),
            ] {
                let (dir, programs) =
                    (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("one more"));
                // Asked for its version it is a QEMU.
                let text = format!("case \"$*\" in *'guest='*) {text} ;; *) exec '{real}' \"$@\" ;; esac");
                let config = Guest::Deaf.config(&script(programs.path(), &text), dir.path(), "vm");
                let error = launch(&config, &LaunchOptions::default(), ownership).await.expect_err("refused");
                let Error::Launch(failure) = &error else { panic!("{error}") };
                assert_eq!(failure.cause, cause, "{version} {ownership:?} {text}: {error}");
                let place = dir.path().display().to_string();
                // Killed, a process needs a moment to go.
                let deadline = Instant::now() + Duration::from_secs(60);
                while !processes_with(&place).is_empty() {
                    assert!(Instant::now() < deadline, "{version} {ownership:?} {text}");
                    tokio::task::yield_now().await;
                }
                assert_eq!(leftovers(dir.path()), [""; 0]);
            }
        }
        // One that ends with `exec` is a QEMU like any other.
        let (dir, programs) =
            (tempfile::tempdir().expect("a directory"), tempfile::tempdir().expect("one more"));
        let config =
            Guest::Deaf.config(&script(programs.path(), &format!("exec '{real}' \"$@\"")), dir.path(), "vm");
        Instance::start(&config).await.expect("started").kill().await.expect("killed");
    }
}

/// The kernel forgets the parent-death signal of a process that changes its user.
#[tokio::test]
async fn a_qemu_that_would_outlive_its_launcher_is_refused_unless_it_is_to_do_so() {
    for version in VERSIONS {
        let user: &[&str] =
            if version == "7.2" { &["-runas", "nobody"] } else { &["-run-with", "user=nobody"] };
        let dir = tempfile::tempdir().expect("a directory");
        let config = VmConfig {
            extra_args: user.iter().map(|&word| word.into()).collect(),
            sandbox: Sandbox { enabled: false, ..Sandbox::default() },
            ..Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir.path(), "vm")
        };
        let error = Instance::start(&config).await.expect_err("refused");
        let Error::Launch(failure) = &error else { panic!("{error}") };
        assert_eq!(leftovers(dir.path()), [""; 0]);
        if nix::unistd::geteuid().is_root() {
            assert_eq!(failure.cause, Cause::Untied, "{version}: {error}");
            let vm = Instance::start_detached(&config, &LaunchOptions::default()).await.expect("it may");
            vm.kill().await.expect("killed");
        } else {
            // Only root's QEMU can become somebody else.
            assert!(failure.exit.is_some(), "{version}: {error}");
        }
    }
}

#[tokio::test]
async fn a_secret_is_gone_from_its_descriptor_once_qemu_has_read_it() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let config = VmConfig {
            qemu: Some(qemu(version, "qemu-system-x86_64")),
            secrets: vec![Secret::new("key", secrets::PASSWORD)],
            ..secrets::config(dir.path())
        };
        let vm = Instance::start(&config).await.expect("unlocked");
        let folder = format!("/proc/{}/fd", vm.pid().expect("a process"));
        let mut pipes = 0;
        for entry in fs::read_dir(&folder).expect("proc") {
            let path = entry.expect("proc").path();
            let target = fs::read_link(&path).unwrap_or_default().display().to_string();
            assert!(!target.contains("secret"), "{version}: {target}");
            if target.starts_with("pipe:") {
                pipes += 1;
                let mut open = fs::OpenOptions::new();
                let Ok(mut pipe) = open.read(true).custom_flags(nix::libc::O_NONBLOCK).open(&path) else {
                    continue;
                };
                let mut rest = [0; 64];
                let count = pipe.read(&mut rest).unwrap_or(0);
                assert!(!String::from_utf8_lossy(&rest[..count]).contains("sesame"), "{version}");
            }
        }
        assert!(pipes > 0, "{version}: it is one of them");
    }
}

#[tokio::test]
async fn a_secret_that_does_not_come_and_one_without_an_end_are_errors_in_time() {
    let dir = tempfile::tempdir().expect("a directory");
    let fifo = dir.path().join("fifo");
    nix::unistd::mkfifo(&fifo, nix::sys::stat::Mode::S_IRWXU).expect("a FIFO");
    let named: Secret = serde_json::from_value(serde_json::json!({ "id": "key" })).expect("a secret");
    let config = VmConfig { secrets: vec![named], ..secrets::config(dir.path()) };
    let options = |path: &Path, within| LaunchOptions {
        secrets: [("key".to_owned(), SecretSource::File(path.into()))].into(),
        ready_timeout: within,
        ..LaunchOptions::default()
    };
    for (path, within, reason) in [
        (&*fifo, Duration::from_secs(1), "it did not appear within 1 s"),
        (Path::new("/dev/zero"), Duration::from_secs(60), "it is larger than 64 KiB"),
    ] {
        let error = Instance::start_with(&config, &options(path, within)).await.expect_err("no secret");
        let source = std::error::Error::source(&error).map(ToString::to_string);
        assert_eq!(source.as_deref(), Some(reason), "{error}");
    }
    // The first attempt's reader may still wait for somebody at the other end. Both ends are held open until the writer is
    // through, so that neither of the two waits for the other.
    let both = fs::OpenOptions::new().read(true).write(true).open(&fifo).expect("opened");
    fs::write(&fifo, secrets::PASSWORD).expect("written");
    drop(both);
}

#[tokio::test]
async fn niceness_processors_and_control_group_are_those_of_the_options() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = Guest::Deaf.config(&qemu("10.0", "qemu-system-x86_64"), dir.path(), "vm");
    let group = tempfile::tempdir().expect("a directory");
    fs::write(group.path().join("cgroup.procs"), "").expect("written");
    let options = LaunchOptions {
        nice: Some(2),
        cpus: Some(vec![0]),
        cgroup: Some(group.path().into()),
        ..LaunchOptions::default()
    };
    let vm = Instance::start_with(&config, &options).await.expect("started");
    let read = |pid: &str, file: &str| fs::read_to_string(format!("/proc/{pid}/{file}")).expect("proc");
    let pid = vm.pid().expect("a process").to_string();
    assert!(read(&pid, "status").contains("Cpus_allowed_list:\t0\n"));
    let nice = |pid: &str| -> i64 {
        let stat = read(pid, "stat");
        stat.rsplit_once(')').and_then(|(_, rest)| rest.split(' ').nth(17)?.parse().ok()).expect("a number")
    };
    assert_eq!(nice(&pid), (nice("self") + 2).min(19));
    // To the kernel this is the process that writes it.
    assert_eq!(fs::read_to_string(group.path().join("cgroup.procs")).expect("readable"), "0");

    let none = LaunchOptions { cgroup: Some(dir.path().join("none")), ..LaunchOptions::default() };
    let other = VmConfig { name: Some("other".into()), ..config };
    let error = Instance::start_with(&other, &none).await.expect_err("there is no such group");
    assert_eq!(
        error.to_string(),
        format!("cannot open the control group's {}/none/cgroup.procs", dir.path().display())
    );
    let cpus = LaunchOptions { cpus: Some(vec![5000]), ..LaunchOptions::default() };
    let error = Instance::start_with(&other, &cpus).await.expect_err("there is no such processor");
    assert!(error.to_string().contains("CPU 5000"), "{error}");
}
