//! The programs in `examples`, run on real QEMUs.

#[expect(dead_code, reason = "its `main` reads arguments")]
#[path = "../../examples/agent.rs"]
mod agent;
#[expect(dead_code, reason = "its `main` reads arguments")]
#[path = "../../examples/argv_only.rs"]
mod argv_only;
#[expect(dead_code, reason = "its `main` reads arguments")]
#[path = "../../examples/attach.rs"]
mod attach;
#[cfg(feature = "blocking")]
#[expect(dead_code, reason = "its `main` reads arguments")]
#[path = "../../examples/blocking.rs"]
mod blocking;
#[expect(dead_code, reason = "its `main` reads arguments")]
#[path = "../../examples/ci_service.rs"]
mod ci_service;
#[expect(dead_code, reason = "its `main` reads arguments")]
#[path = "../../examples/console.rs"]
mod console;
#[expect(dead_code, reason = "its `main` reads arguments")]
#[path = "../../examples/control_plane.rs"]
mod control_plane;
#[expect(dead_code, reason = "its `main` reads arguments")]
#[path = "../../examples/follow.rs"]
mod follow;
#[expect(dead_code, reason = "its `main` reads arguments")]
#[path = "../../examples/hotplug.rs"]
mod hotplug;
#[expect(dead_code, reason = "its `main` reads arguments")]
#[path = "../../examples/screenshot.rs"]
mod screenshot;

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::time::{Duration, Instant};

use qemuctl::config::{Video, VideoModel};
use qemuctl::guest::Output;
use qemuctl::qmp_client::{Options, Session};
use qemuctl::qmp_proto::RunState;
use qemuctl::{Exec, ExitReason};

use crate::boot_sector::{Guest, leftovers};
use crate::guest_agent::{GENEROUS, linux};
use crate::own_process::{command, is_role};
use crate::support::{VERSIONS, qemu};

#[test]
fn a_command_line_needs_no_qemu() {
    let (line, buses) = argv_only::render().expect("planned");
    assert!(line.contains("-name guest=web") && line.contains("-accel kvm"), "{line}");
    assert!(buses.iter().any(|(id, bus)| id == "disk0" && bus.starts_with("rp")), "{buses:?}");
}

#[cfg(feature = "blocking")]
#[test]
fn a_tour_without_async_code() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = linux("10.0", "x86_64", dir.path());
    config.video = vec![Video::new(VideoModel::Vga)];
    let (disk, picture) = (dir.path().join("more.raw"), dir.path().join("screen.png"));
    std::fs::write(&disk, vec![0; 1 << 20]).expect("written");
    let mut lines = Vec::new();
    let outcome = blocking::tour(&config, &disk, &picture, |line| lines.push(line)).expect("no step fails");
    assert_eq!(outcome.reason, ExitReason::GuestShutdown);
    let expected = [
        "the guest is Linux".to_owned(),
        "the console says 42".to_owned(),
        "disk0 is plugged in".to_owned(),
        format!("the screen is in {}", picture.display()),
    ];
    assert_eq!(lines, expected);
    assert!(std::fs::read(&picture).expect("written").starts_with(b"\x89PNG"));
}

#[tokio::test]
async fn a_control_plane_needs_types_alone() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let config = Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir.path(), "web");
        let vm = qemuctl::Instance::start(&config).await.expect(version);
        let socket = vm.socket().expect("it has one");
        let session = Session::connect(socket, &Options::default()).await.expect("connected");
        let machine = control_plane::inventory(&session).await.expect("told");
        assert_eq!((machine.name.as_deref(), machine.status.clone()), (Some("web"), RunState::Running));
        assert_eq!(format!("{}.{}", machine.qemu.0, machine.qemu.1), version);
        let [(drive, Some(file))] = &machine.drives[..] else { panic!("{machine:?}") };
        assert!(machine.cpus == 1 && drive.contains("disk0") && file.ends_with("Deaf"), "{machine:?}");
        control_plane::pause_and_resume(&session).await.expect("done");
        assert_eq!(control_plane::inventory(&session).await.expect("told").status, RunState::Running);
    }
}

#[tokio::test]
async fn a_vm_of_somebody_else_is_followed_to_its_end() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = Guest::Deaf.config(&qemu("11.1", "qemu-system-x86_64"), dir.path(), "vm");
    let vm = qemuctl::Instance::start(&config).await.expect("started");
    let attached = qemuctl::Instance::attach_name_in(dir.path(), "vm").await.expect("attached");
    let (sender, mut lines) = tokio::sync::mpsc::unbounded_channel();
    let following =
        tokio::spawn(
            async move { follow::follow(&attached, |line| sender.send(line).expect("heard")).await },
        );
    let mut next = async || tokio::time::timeout(GENEROUS, lines.recv()).await.expect("in time");
    assert_eq!(next().await.as_deref(), Some("running"));
    vm.pause().await.expect("paused");
    let mut seen = [next().await.expect("an event"), next().await.expect("a state")];
    seen.sort();
    assert_eq!(seen, ["STOP", "paused"]);
    vm.quit(GENEROUS).await.expect("quit");
    assert_eq!(following.await.expect("no panic"), ExitReason::HostQuit);
}

#[tokio::test]
async fn a_running_vm_is_used_by_five_small_programs() {
    let dir = tempfile::tempdir().expect("a directory");
    let mut config = linux("7.2", "x86_64", dir.path());
    config.video = vec![Video::new(VideoModel::Vga)];
    let started = qemuctl::Instance::start(&config).await.expect("started");
    let name = config.name.expect("it has one");
    let vm = qemuctl::Instance::attach_name_in(dir.path(), &name).await.expect("attached");

    assert_eq!(attach::overview(dir.path()).await.expect("listed"), [format!("{name} is running")]);

    let mut output = Vec::new();
    let script = Exec::with_args("sh", ["-c", "echo out; echo err >&2; exit 7"]);
    let code = agent::run(&vm, &script, |piece| output.push(piece)).await.expect("run");
    output.sort_by_key(|piece| matches!(piece, Output::Stderr(_)));
    assert_eq!(code, Some(7));
    assert_eq!(output, [Output::Stdout(b"out\n".into()), Output::Stderr(b"err\n".into())]);

    // Whoever starts a VM reads its console from the first line on.
    assert_eq!(console::run(&started, "echo $((6 * 7))").await.expect("run"), "42\r\n");

    let image = dir.path().join("more.raw");
    std::fs::write(&image, vec![0; 1 << 20]).expect("written");
    let mut lines = Vec::new();
    hotplug::add_and_remove(&vm, &image, |line| lines.push(line)).await.expect("done");
    let expected = ["added disk0", "disk0 does at most 500 operations a second", "removed disk0"];
    assert_eq!(lines, expected);

    assert!(screenshot::screen(&vm).await.expect("taken").starts_with(b"\x89PNG"));
}

/// A service with three VMs is killed in the middle: their QEMUs end with it, and the next one takes the same names.
#[test]
fn a_ci_service_that_is_killed_leaves_nothing_in_the_way() {
    const NAME: &str = "examples::a_ci_service_that_is_killed_leaves_nothing_in_the_way";
    const DIR: &str = "QEMUCTL_TEST_DIR";
    let serve = |dir: &std::path::Path, scripts: [&str; 3], tell: fn(String)| {
        let machine = linux("10.0", "x86_64", dir);
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(ci_service::serve(&machine, scripts.map(str::to_owned).to_vec(), tell))
    };
    if is_role(NAME) {
        let dir = std::env::var_os(DIR).expect("set by the test");
        let scripts = ["echo working; sleep 3600"; 3];
        serve(dir.as_ref(), scripts, |line| println!("\n{line}")).expect_err("it is killed");
        return;
    }
    let dir = tempfile::tempdir().expect("a directory");
    let mut service =
        command(NAME).env(DIR, dir.path()).stdout(Stdio::piped()).spawn().expect("the test program starts");
    let mut pids = Vec::new();
    for line in BufReader::new(service.stdout.take().expect("piped")).lines() {
        let line = line.expect("text");
        pids.extend(line.split_once("QEMU is process ").map(|(_, pid)| pid.to_owned()));
        if line.contains("working") {
            break;
        }
    }
    service.kill().expect("killed");
    service.wait().expect("reaped");
    assert_eq!(pids.len(), 3, "all three are there before the first job works");
    let deadline = Instant::now() + Duration::from_secs(60);
    let alive = |pid: &String| {
        let stat = std::fs::read_to_string(format!("/proc/{pid}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") Z "))
    };
    while pids.iter().any(alive) {
        assert!(Instant::now() < deadline, "a QEMU outlives its service");
        std::thread::yield_now();
    }

    let mut codes = serve(dir.path(), ["exit 0", "exit 3", "exit 4"], |_| ()).expect("the names are free");
    codes.sort_unstable();
    assert_eq!(codes, [Some(0), Some(3), Some(4)]);
    assert_eq!(leftovers(dir.path()), [""; 0]);
}
