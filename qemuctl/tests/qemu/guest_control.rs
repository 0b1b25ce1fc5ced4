//! What one does to a guest, seen by the guest: keys, pointer, sleep, memory, media, limits, console.

use std::path::Path;
use std::time::{Duration, Instant as Clock};

use qemuctl::guest::ExpectError;
use qemuctl::{
    Exec, Instance, LaunchOptions, State, VmConfig,
    config::{Balloon, BlockFormat, Cdrom, Disk, Rate, Throttle, UsbDevice, UsbKind, Video},
    control::{IoBurst, IoLimits, MouseButton},
    guest::Output,
};

use crate::boot_sector::Guest;
use crate::guest_agent::{GENEROUS, boot, boot_with, linux, run};
use crate::support::{VERSIONS, qemu};

#[tokio::test]
async fn typed_text_arrives_letter_by_letter() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let config = Guest::Typist.config(&qemu(version, "qemu-system-x86_64"), dir.path(), "vm");
        let vm = Instance::start(&config).await.expect(version);
        let mut console = vm.console().await.expect("it has one").reader_with_history();
        console.expect("R\n", GENEROUS).await.expect("it boots");
        let text: String = (' '..='~').collect();
        vm.type_text(&format!("{text}\n")).await.expect(version);
        let typed = console.expect("\r", GENEROUS).await.expect("all of it arrives");
        assert_eq!(typed.before, text, "{version}");
        vm.send_keys(["shift", "a"]).await.expect(version);
        vm.send_keys(["ctrl", "c"]).await.expect(version);
        let typed = console.expect("\u{3}", GENEROUS).await.expect("it arrives");
        assert_eq!(typed.before, "A", "{version}");
    }
}

/// For a Linux guest under TCG on a busy machine, which may not come to its keyboard for a second.
const UNHURRIED: Duration = Duration::from_millis(400);

/// Starts a script in the guest that says `ready`, then does something, and returns what it prints after that.
async fn while_reading(vm: &Instance, script: &str, action: impl AsyncFnOnce()) -> String {
    let exec = Exec::with_args("/bin/sh", ["-c", script]);
    let (sender, mut pieces) = tokio::sync::mpsc::unbounded_channel();
    let streamed = vm.exec_streamed(&exec, GENEROUS, move |piece| {
        sender.send(piece).expect("somebody listens");
    });
    let follow = async {
        let (mut text, mut action) = (String::new(), Some(action));
        while let Some(piece) = pieces.recv().await {
            let (Output::Stdout(bytes) | Output::Stderr(bytes)) = piece;
            text.push_str(&String::from_utf8_lossy(&bytes));
            if text.contains("ready\n")
                && let Some(action) = action.take()
            {
                action().await;
            }
        }
        text
    };
    let (ended, text) = tokio::join!(streamed, follow);
    assert_eq!(ended.expect(script).code, Some(0), "{text}");
    text.strip_prefix("ready\n").expect(&text).to_owned()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linux_guest_feels_pointer_and_keys() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = VmConfig {
        usb_devices: vec![UsbDevice::new(UsbKind::Tablet)],
        video: vec![Video::default()],
        ..linux("10.0", "x86_64-generic", dir.path())
    };
    let vm = boot(&config).await;
    // A terminal where no shell reads as well.
    let line = while_reading(&vm, "chvt 5; exec 3</dev/tty5; echo ready; head -n1 <&3", async || {
        vm.type_text_at(UNHURRIED, "Hello, World! {~} #42\n").await.expect("typed");
    });
    assert_eq!(line.await, "Hello, World! {~} #42\n");

    let script = "until grep -q 'QEMU USB Tablet' /proc/bus/input/devices; do usleep 20000; done
        event=$(grep -A4 'QEMU USB Tablet' /proc/bus/input/devices | grep -o 'event[0-9]*')
        exec 3</dev/input/$event; echo ready; head -c 192 <&3 | od -An -v -tu2 -w24";
    let events = while_reading(&vm, script, async || {
        vm.move_pointer_to(0.5, 0.25).await.expect("moved");
        vm.click(MouseButton::Right).await.expect("clicked");
    });
    // Of each event: its time, its type, its code, and its value in two halves.
    let events: Vec<Vec<u16>> = events
        .await
        .lines()
        .map(|line| {
            line.split_ascii_whitespace().skip(8).map(|word| word.parse().expect("a number")).collect()
        })
        .collect();
    let seen: Vec<_> = events.iter().filter(|event| event[0] == 3 || event[0] == 1).collect();
    // Absolute X and Y out of 32767, then the right button (0x111) down.
    assert_eq!(seen[..3], [&vec![3, 0, 16384, 0], &vec![3, 1, 8192, 0], &vec![1, 0x111, 1, 0]], "{events:?}");
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn a_linux_guest_sleeps_shrinks_and_changes_media() {
    let dir = tempfile::tempdir().expect("a directory");
    let config = VmConfig {
        balloon: Some(Balloon::default()),
        cdroms: vec![Cdrom::default()],
        ..linux("10.0", "x86_64-generic", dir.path())
    };
    let log = dir.path().join("console.log");
    let options =
        LaunchOptions { ready_timeout: GENEROUS, console_log: Some(log.clone()), ..LaunchOptions::default() };
    let vm = boot_with(&config, &options).await;
    console_has_history_and_readers(&vm, &log).await;

    let told = vm.balloon_stats(GENEROUS).await.expect("told");
    let total = told.total.expect("told");
    assert!(told.free.is_some_and(|free| free > 0 && free < total), "{told:?}");
    assert!((400 << 20..=512 << 20).contains(&total), "{told:?}");
    vm.set_balloon(384 << 20).await.expect("asked");
    let mut changes = vm.qmp().events_named(["BALLOON_CHANGE"]);
    while vm.balloon().await.expect("told") != 384 << 20 {
        // Said at most once a second, and the last time when it is done.
        let _ = tokio::time::timeout(Duration::from_secs(2), changes.recv()).await;
    }

    let image = dir.path().join("medium.iso");
    std::fs::write(&image, [b"a medium of sixteen".repeat(1024), vec![0; 1024]].concat()).expect("written");
    vm.change_medium("cdrom0", &image, "raw").await.expect("put in");
    let read = "until head -c 8 /dev/sr0 2>/dev/null | grep -q 'a medium'; do usleep 50000; done";
    run(&vm, read).await;
    vm.eject("cdrom0").await.expect("taken out");
    run(&vm, "! head -c 8 /dev/sr0 2>/dev/null | grep -q 'a medium'").await;

    let mut states = vm.states();
    vm.suspend().await.expect("it falls asleep");
    let asleep = states.wait_for(|state| *state == State::Suspended);
    tokio::time::timeout(GENEROUS, asleep).await.expect("in time").expect("it lives");
    assert_eq!(vm.query_state().await.expect("answered"), State::Suspended);
    vm.wake().await.expect("woken");
    let awake = states.wait_for(|state| *state == State::Running);
    tokio::time::timeout(GENEROUS, awake).await.expect("in time").expect("it lives");
    vm.wait_agent(GENEROUS).await.expect("it is back");
    assert_eq!(run(&vm, "echo awake").await, "awake");
}

async fn console_has_history_and_readers(vm: &Instance, log: &Path) {
    let console = vm.console().await.expect("it has one");
    let mut first = console.reader_with_history();
    let mut second = first.clone();
    first.expect("guest ready", GENEROUS).await.expect("it is past");
    let mut third = console.reader();
    console.write_all(b"echo a$((20 + 22))z\n").await.expect("typed");
    for reader in [&mut first, &mut second, &mut third] {
        let found = reader.expect(r"a(\d+)z", GENEROUS).await.expect("printed");
        assert_eq!(found.groups, ["a42z", "42"]);
    }
    let moment = Duration::from_millis(100);
    let error = first.expect("never printed", moment).await.expect_err("it is not");
    assert!(matches!(error, ExpectError::Timeout { .. }), "{error}");
    let error = first.expect("(", moment).await.expect_err("no pattern");
    assert!(matches!(error, ExpectError::Pattern { .. }), "{error}");
    assert!(console.last_lines(1000).iter().any(|line| line.contains("a42z")));
    let logged = std::fs::read_to_string(log).expect("readable");
    assert!(logged.contains("guest ready") && logged.contains("a42z"), "{logged}");
}

/// How long it takes QEMU to read three times a megabyte from a disk.
async fn three_megabytes(vm: &Instance, node: &str) -> Duration {
    let begin = Clock::now();
    for at in 0..3 {
        let line = format!("qemu-io {node} \"read {at}M 1M\"");
        let text = vm.human_monitor(&line).await.expect("answered");
        // It prints what it did on QEMU's own output; the reply has errors only.
        assert_eq!(text, "");
    }
    begin.elapsed()
}

#[tokio::test]
async fn limits_of_a_disk_in_a_group_are_exact_and_hold() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let image = dir.path().join("limited");
        std::fs::File::create(&image).and_then(|file| file.set_len(8 << 20)).expect("written");
        let throttle =
            Throttle { group: Some("shared".into()), bps: Some(Rate::new(500 << 20)), ..Throttle::default() };
        let disk = Disk { throttle: Some(throttle), format: Some(BlockFormat::Raw), ..Disk::file(image) };
        let config = Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir.path(), "vm");
        let config = VmConfig { disks: [config.disks.clone(), vec![disk]].concat(), ..config };
        let vm = Instance::start(&config).await.expect(version);
        let burst = IoBurst { bytes_read: 8 << 20, seconds: 7, ..IoBurst::default() };
        for limits in [
            IoLimits { bytes_total: 100 << 20, requests_total: 1000, ..IoLimits::default() },
            IoLimits { bytes_read: 2 << 20, requests_write: 20, burst: Some(burst), ..IoLimits::default() },
            IoLimits::default(),
        ] {
            for disk in ["disk0", "disk1"] {
                vm.set_io_limits(disk, limits).await.expect(version);
                assert_eq!(vm.io_limits(disk).await.expect(version), limits, "{disk} on {version}");
            }
        }
        let low = IoBurst { bytes_total: 1, seconds: 1, ..IoBurst::default() };
        let wrong = IoLimits { bytes_total: 100, burst: Some(low), ..IoLimits::default() };
        for disk in ["disk0", "disk1"] {
            vm.set_io_limits(disk, wrong).await.expect_err("a burst is not below its limit");
        }
        // The first megabyte passes at once, and each other waits for the one before it.
        vm.set_io_limits("disk1", IoLimits { bytes_total: 2 << 20, ..IoLimits::default() })
            .await
            .expect("set");
        let limited = three_megabytes(&vm, "disk1-throttle").await;
        assert!(limited > Duration::from_millis(500), "{limited:?} on {version}");
        vm.set_io_limits("disk1", IoLimits::default()).await.expect("set");
        let free = three_megabytes(&vm, "disk1-throttle").await;
        assert!(free < limited, "{free:?} without limits, {limited:?} with, on {version}");
    }
}
