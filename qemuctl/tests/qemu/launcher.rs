//! What the launching process keeps, and what stays when it dies.

use std::io::{BufRead, BufReader};
use std::path::Path;
use std::process::Stdio;
use std::time::{Duration, Instant};

use qemuctl::Instance;

use crate::boot_sector::{Guest, leftovers};
use crate::own_process::{Holdings, alone, command, is_role};
use crate::support::{VERSIONS, qemu};

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

#[test]
fn five_hundred_launches_and_stops_leak_nothing() {
    alone("launcher::five_hundred_launches_and_stops_leak_nothing", || {
        runtime().block_on(async {
            let dir = tempfile::tempdir().expect("a directory");
            let mut before = None;
            for round in 0..501 {
                let version = VERSIONS[round % VERSIONS.len()];
                let config = Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir.path(), "vm");
                let vm = Instance::start(&config).await.expect(version);
                match round % 3 {
                    0 => drop(vm.quit(Duration::from_secs(60)).await.expect("quit")),
                    1 => drop(vm.kill().await.expect("killed")),
                    _ => {}
                }
                drop(vm);
                // The tasks that held the connections end in their own time, which this gives them.
                tokio::task::yield_now().await;
                // The first round starts the thread that launches, and what else stays.
                if round == 0 {
                    before = Some(Holdings::now());
                }
            }
            let settled = tokio::time::timeout(Duration::from_secs(30), async {
                while Some(Holdings::now()) != before {
                    tokio::task::yield_now().await;
                }
            });
            if settled.await.is_err() {
                assert_eq!(Some(Holdings::now()), before);
            }
            assert_eq!(leftovers(dir.path()), [""; 0]);
        });
    });
}

#[test]
fn killing_the_launcher_kills_qemu() {
    const NAME: &str = "launcher::killing_the_launcher_kills_qemu";
    if is_role(NAME) {
        return launch_and_wait();
    }
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let mut launcher = command(NAME)
            .env("QEMUCTL_TEST_DIR", dir.path())
            .env("QEMUCTL_TEST_VERSION", version)
            .stdout(Stdio::piped())
            .spawn()
            .expect("the test program starts");
        let mut lines = BufReader::new(launcher.stdout.take().expect("piped")).lines();
        let pid = lines
            .find_map(|line| line.expect("text").strip_prefix("QEMU is process ").map(str::to_owned))
            .expect("it says so");
        launcher.kill().expect("killed");
        launcher.wait().expect("reaped");
        let deadline = Instant::now() + Duration::from_secs(60);
        while alive(&pid) {
            assert!(Instant::now() < deadline, "QEMU {version} outlives its launcher");
            std::thread::yield_now();
        }
    }
}

fn launch_and_wait() {
    let dir = std::env::var("QEMUCTL_TEST_DIR").expect("set by the test");
    let version = std::env::var("QEMUCTL_TEST_VERSION").expect("set by the test");
    runtime().block_on(async {
        let config = Guest::Deaf.config(&qemu(&version, "qemu-system-x86_64"), Path::new(&dir), "vm");
        let vm = Instance::start(&config).await.expect("started");
        println!("\nQEMU is process {}", vm.pid().expect("a process"));
        vm.wait().await;
    });
}

/// Whether a process runs. A zombie, which waits for its new parent to collect it, does not.
fn alive(pid: &str) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}
