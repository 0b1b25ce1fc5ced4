//! The process that keeps a machine.

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::super::guest::{OBEDIENT, POWER_OFF};
use super::super::program::{alive, until};
use super::{done, events, info, place_with, process};

fn signal(pid: i32, signal: Signal) {
    kill(Pid::from_raw(pid), signal).expect("the process is there");
}

#[test]
fn a_machine_outlives_its_keeper_and_gets_a_new_one() {
    let place = place_with("web", OBEDIENT);
    done(&place, &["start", "web"]);
    let (qemu, keeper) = (place.pid("web"), process(&place, "web", "keeper"));
    signal(keeper, Signal::SIGKILL);
    until("the keeper is gone", || !alive(keeper));
    until("nobody keeps it", || info(&place, "web")["keeper"].is_null());
    assert_eq!(info(&place, "web")["state"], "running");
    assert!(done(&place, &["info", "web"]).err.contains("qemuctl adopt web"));
    for refused in [&["start", "web"][..], &["rm", "web", "--yes"]] {
        let refused = place.qemuctl(refused);
        assert_eq!((refused.code, alive(qemu)), (Some(1), true), "{refused:?}");
    }
    let adopted = done(&place, &["adopt", "web"]);
    assert_eq!(adopted.err, "adopted web (process N)\n");
    assert_eq!(place.pid("web"), qemu);
    let again = place.qemuctl(&["adopt", "web"]);
    assert_eq!(again.code, Some(1), "{again:?}");
    done(&place, &["stop", "web"]);
    assert_eq!(info(&place, "web")["ended"], "guest shut down");
    let nothing = place.qemuctl(&["adopt", "web"]);
    assert_eq!(nothing.code, Some(3), "{nothing:?}");
}

#[test]
fn how_it_ended_is_told_as_far_as_it_can_be_known() {
    let place = place_with("web", OBEDIENT);
    // QEMU first: the keeper has seen it.
    done(&place, &["start", "web"]);
    let keeper = process(&place, "web", "keeper");
    signal(place.pid("web"), Signal::SIGKILL);
    until("the keeper has ended", || !alive(keeper));
    assert_eq!(info(&place, "web")["ended"], "killed by SIGKILL");
    assert_eq!(info(&place, "web")["last_run"]["end"]["ended"]["process"]["signal"]["number"], 9);

    // The keeper first: nobody has.
    done(&place, &["start", "web"]);
    let (qemu, keeper) = (place.pid("web"), process(&place, "web", "keeper"));
    signal(keeper, Signal::SIGKILL);
    until("the keeper is gone", || !alive(keeper));
    signal(qemu, Signal::SIGKILL);
    until("QEMU is gone", || !alive(qemu));
    let unknown = "unknown: QEMU ended while no keeper was running";
    until("its end shows", || info(&place, "web")["ended"] == unknown);
    assert!(done(&place, &["list", "--all"]).out.contains(unknown));
    assert_eq!(events(&place, "web").last().map(String::as_str), Some("RESUME"));

    // The host: its next boot is another one.
    let run = place.file("home/machines/web/run.json");
    let text = std::fs::read_to_string(&run).expect("text");
    let boot = std::fs::read_to_string("/proc/sys/kernel/random/boot_id").expect("text");
    std::fs::write(&run, text.replace(boot.trim(), "another")).expect("written");
    assert_eq!(info(&place, "web")["ended"], "the host was restarted");

    // None of that keeps it from starting.
    done(&place, &["start", "web"]);
    done(&place, &["stop", "web"]);
    assert_eq!(info(&place, "web")["ended"], "guest shut down");
}

#[test]
fn a_machine_that_fails_is_started_again_until_it_is_stopped() {
    let place = place_with("web", OBEDIENT);
    done(&place, &["set", "web", "restart=on-failure"]);
    done(&place, &["start", "web"]);
    let first = place.pid("web");
    signal(first, Signal::SIGKILL);
    until("it runs again", || {
        let info = info(&place, "web");
        info["state"] == "running" && info["pid"] != first
    });
    assert!(events(&place, "web").contains(&"QEMUCTL_RESTARTING".to_owned()));
    // What its user does is no failure.
    done(&place, &["kill", "web"]);
    let ended = info(&place, "web");
    assert_eq!((&ended["state"], &ended["ended"]), (&"stopped".into(), &"killed by SIGKILL".into()));
    // Neither is what its guest does.
    let printed = || done(&place, &["logs", "web"]).out.len();
    let before = printed();
    done(&place, &["start", "web"]);
    until("the guest heeds its power button", || printed() > before);
    let keeper = process(&place, "web", "keeper");
    done(&place, &["qmp", "web", "system_powerdown"]);
    until("the keeper has ended", || !alive(keeper));
    assert_eq!(info(&place, "web")["ended"], "guest shut down");
}

#[test]
fn a_machine_that_always_runs_can_be_stopped_between_two_runs() {
    let place = place_with("web", POWER_OFF);
    done(&place, &["set", "web", "restart=always"]);
    done(&place, &["start", "web"]);
    let runs = || events(&place, "web").iter().filter(|name| *name == "QEMUCTL_STARTED").count();
    until("it has run three times", || runs() >= 3);
    until("it waits for the next time", || info(&place, "web")["state"] == "restarting");
    let stopped = done(&place, &["stop", "web"]);
    assert!(stopped.err.contains("will not be restarted"), "{stopped:?}");
    let ended = info(&place, "web");
    assert_eq!((&ended["state"], &ended["keeper"]), (&"stopped".into(), &serde_json::Value::Null));
}

#[test]
fn a_keeper_that_is_asked_to_end_shuts_its_guest_down() {
    let place = place_with("web", OBEDIENT);
    done(&place, &["set", "web", "restart=always"]);
    done(&place, &["start", "web"]);
    until("the guest heeds its power button", || done(&place, &["logs", "web"]).out == "R\n");
    let keeper = process(&place, "web", "keeper");
    // As when the host shuts down.
    signal(keeper, Signal::SIGTERM);
    until("the keeper has ended", || !alive(keeper));
    assert_eq!(info(&place, "web")["ended"], "guest shut down");
}

#[test]
fn a_console_that_never_ends_fills_no_disk() {
    // mov al,'x'; out dx,al; jmp back
    let place = place_with("web", &[0xb0, b'x', 0xee, 0xeb, 0xfb]);
    done(&place, &["start", "web"]);
    let folder = place.file("home/machines/web");
    until("the log has been cut", || folder.join("console.log.1").exists());
    let printed = done(&place, &["logs", "web", "-n", "1"]).out.len();
    assert!(printed > 1 << 20, "{printed}");
    done(&place, &["kill", "web"]);
    let size = |name: &str| folder.join(name).metadata().expect("there").len();
    assert!(size("console.log.1") <= 2 << 20 && size("console.log") <= 64 << 20);
}

#[test]
fn a_launch_that_is_given_up_leaves_nothing() {
    let place = place_with("web", OBEDIENT);
    // A QEMU that never answers.
    let real = crate::support::qemu("10.0", "qemu-system-x86_64");
    let script = format!(
        "#!/bin/sh\ncase \"$*\" in *guest=web*) exec sleep 600;; esac\nexec {} \"$@\"\n",
        real.display()
    );
    let fake = place.write("qemu-system-x86_64", script);
    std::fs::set_permissions(&fake, std::os::unix::fs::PermissionsExt::from_mode(0o700)).expect("ours");
    done(&place, &["set", "web", &format!("qemu={}", fake.display())]);
    let mut start = place.command(&["start", "web"]);
    let start = start.stderr(std::process::Stdio::piped()).spawn().expect("the program starts");
    until("it is being started", || info(&place, "web")["state"] == "starting");
    let keeper = process(&place, "web", "keeper");
    signal(i32::try_from(start.id()).expect("process ids fit"), Signal::SIGTERM);
    let answer = place.answer(&start.wait_with_output().expect("it ends"));
    assert_eq!(
        (answer.code, answer.err.as_str()),
        (Some(143), "error: the launch was interrupted by SIGTERM\n")
    );
    assert!(!alive(keeper));
    assert_eq!(info(&place, "web")["ended"], "did not start: the launch was interrupted by SIGTERM");
    assert_eq!(place.leftovers(), [""; 0]);
}
