//! A machine from its creation to its removal.

use std::os::unix::fs::PermissionsExt;

use super::super::guest::{OBEDIENT, POWER_OFF};
use super::super::program::{Place, until};
use super::{create, done, events, info, json, place_with};
use crate::support::VERSIONS;

#[test]
fn a_machine_is_there_while_it_is_off() {
    for version in VERSIONS {
        let place = Place::new();
        let created = create(&place, "web", OBEDIENT, version);
        assert_eq!(created.err, "created web in DIR/home/machines/web\n");
        let folder = place.file("home/machines/web");
        assert_eq!(folder.metadata().expect("there").permissions().mode() & 0o777, 0o700);
        assert_eq!(json(&place, &["list", "--all"])[0]["state"], "new");

        let started = done(&place, &["start", "web"]);
        assert_eq!(started.err, "started web (process N)\n", "{version}");
        assert_eq!(info(&place, "web")["state"], "running");
        for refused in [&["rm", "web", "--yes"][..], &["rename", "web", "other"], &["clone", "web", "other"]]
        {
            let refused = place.qemuctl(refused);
            assert_eq!(refused.code, Some(1), "{refused:?}");
            assert!(refused.err.starts_with("error: web is running (process N)"), "{refused:?}");
        }
        until("the guest says something", || done(&place, &["logs", "web"]).out == "R\n");
        done(&place, &["stop", "web"]);

        let off = place.qemuctl(&["status", "web"]);
        assert_eq!(off.code, Some(3));
        assert!(
            off.err.starts_with("error: web is not running\nhelp: `qemuctl info web` shows it"),
            "{off:?}"
        );
        let ended = info(&place, "web");
        assert_eq!((&ended["state"], &ended["ended"]), (&"stopped".into(), &"guest shut down".into()));
        assert_eq!(ended["last_run"]["end"]["ended"]["process"]["code"], 0);
        let happened = events(&place, "web");
        let of_interest =
            ["QEMUCTL_STARTING", "QEMUCTL_STARTED", "RESUME", "POWERDOWN", "SHUTDOWN", "QEMUCTL_ENDED"];
        let happened: Vec<_> = happened.iter().filter(|name| of_interest.contains(&name.as_str())).collect();
        assert_eq!(happened, of_interest, "{version}");
        let mut kept: Vec<_> =
            folder.read_dir().expect("readable").map(|entry| entry.expect("readable").file_name()).collect();
        kept.sort();
        assert_eq!(
            kept,
            [
                "console.log",
                "disks",
                "events.jsonl",
                "keeper.lock",
                "keeper.log",
                "lock",
                "machine.toml",
                "plan.json",
                "qemu.log",
                "run.json"
            ]
        );
        assert_eq!(std::fs::read_to_string(folder.join("keeper.log")).expect("text"), "");
        assert_eq!(place.leftovers(), [""; 0]);

        done(&place, &["rm", "web", "--yes"]);
        assert!(!folder.exists());
        assert_eq!(json(&place, &["list", "--all"]).as_array().map(Vec::len), Some(0));
        let gone = place.qemuctl(&["start", "web"]);
        assert_eq!(gone.code, Some(1), "{gone:?}");
    }
}

#[test]
fn a_machine_is_made_of_what_is_given() {
    let place = place_with("web", OBEDIENT);
    let text = |name: &str| {
        std::fs::read_to_string(place.file(&format!("home/machines/{name}/machine.toml"))).expect("text")
    };
    insta::assert_snapshot!(text("web").replace(&qemu_text(), "/QEMU"));
    place.write("install.iso", vec![0; 1 << 20]);
    done(
        &place,
        &[
            "create",
            "new",
            "--disk",
            "1GiB",
            "--disk",
            "2GiB",
            "--iso",
            "install.iso",
            "-c",
            "2",
            "--arch",
            "x86_64",
        ],
    );
    insta::assert_snapshot!(text("new").replace(&place.file("").display().to_string(), "DIR/"));
    let size = |disk: &str| {
        json(&place, &["image", "info", &format!("home/machines/new/disks/{disk}")])[0]["size_bytes"].clone()
    };
    assert_eq!((size("disk0.qcow2"), size("disk1.qcow2")), ((1_u64 << 30).into(), (2_u64 << 30).into()));

    done(
        &place,
        &["create", "large", "--image", "guest.raw", "--linked", "--size", "1GiB", "--arch", "x86_64"],
    );
    let linked = json(&place, &["image", "info", "home/machines/large/disks/disk0.qcow2"]);
    assert_eq!(linked[0]["size_bytes"], 1_u64 << 30, "{linked}");
    assert!(linked[0]["backing"].as_str().is_some_and(|path| path.ends_with("/guest.raw")), "{linked}");

    place.write("vm.toml", "# mine\nname = \"old\"\ncpu = 3\narch = \"x86_64\"\ndisks = [\"guest.raw\"]\n[keep]\nrestart = \"always\"\n");
    done(&place, &["create", "copy", "vm.toml"]);
    insta::assert_snapshot!(text("copy").replace(&place.file("").display().to_string(), "DIR/"));

    for (args, said) in [
        (&["create", "web", "guest.raw"][..], "a machine called web already exists"),
        (&["create", "../web", "guest.raw"], "it must not begin with a dot"),
        (&["create", "web.plan", "guest.raw"], "it ends like the file name of a plan"),
        (&["create", "other", "--disk", "1GiB", "--linked"], "--linked requires a disk image"),
        (&["create", "other", "missing.raw"], "cannot open missing.raw"),
        (&["create", "other"], "required arguments were not provided"),
        (
            &["start", "web", "--name", "other"],
            "--name has no effect: web is a machine and has a name already",
        ),
    ] {
        let refused = place.qemuctl(args);
        assert_ne!(refused.code, Some(0), "{args:?}");
        assert!(refused.err.contains(said), "{args:?}: {refused:?}");
    }
    let names = done(&place, &["list", "--all", "--names"]).out;
    assert_eq!(names, "copy\nlarge\nnew\nweb\n");
    let hidden = place.file("home/machines").read_dir().expect("readable").flatten();
    assert_eq!(hidden.filter(|entry| entry.file_name().to_string_lossy().starts_with('.')).count(), 1);
}

fn qemu_text() -> String {
    crate::support::qemu("10.0", "qemu-system-x86_64").display().to_string()
}

#[test]
fn a_start_is_told_as_that_of_a_file() {
    let place = place_with("web", POWER_OFF);
    // It may have ended when it is told; either way that is a success, and how it ended is known.
    done(&place, &["start", "web"]);
    until("its end is written down", || info(&place, "web")["keeper"].is_null());
    assert_eq!(info(&place, "web")["ended"], "guest shut down");

    done(&place, &["set", "web", r#"extra_args=["-device","nonsense"]"#]);
    let failed = place.qemuctl(&["start", "web"]);
    let of_file = place.qemuctl(&["start", "home/machines/web/machine.toml", "--name", "web"]);
    assert_eq!((failed.code, &failed.err), (of_file.code, &of_file.err));
    assert!(failed.err.contains("nonsense"), "{failed:?}");
    assert!(info(&place, "web")["ended"].as_str().is_some_and(|end| end.starts_with("did not start: ")));
    let said = done(&place, &["logs", "web", "--qemu"]).out;
    assert!(said.contains("nonsense"), "{said}");

    done(&place, &["set", "web", "extra_args="]);
    std::fs::remove_file(place.file("home/machines/web/disks/disk0.qcow2")).expect("there");
    let missing = place.qemuctl(&["start", "web"]);
    assert_eq!(missing.code, Some(4), "{missing:?}");
    assert!(missing.err.contains("disk0.qcow2") && missing.err.contains("machine.toml"), "{missing:?}");
}

#[test]
fn a_machine_runs_in_the_foreground_too() {
    let place = place_with("web", POWER_OFF);
    let ran = done(&place, &["run", "web"]);
    assert!(ran.out.contains('R') && ran.err.contains("web: guest shut down"), "{ran:?}");
    assert_eq!(info(&place, "web")["ended"], "guest shut down");
    assert_eq!(done(&place, &["logs", "web"]).out, "R\n");
}

#[test]
fn several_machines_are_started_and_stopped_at_once() {
    let place = place_with("one", OBEDIENT);
    create(&place, "other", OBEDIENT, "10.0");
    let started = done(&place, &["start", "one", "other"]);
    assert_eq!(started.err, "started one (process N)\nstarted other (process N)\n");
    until("the guest heeds its power button", || done(&place, &["logs", "one"]).out == "R\n");
    let again = place.qemuctl(&["start", "one", "nothing", "other"]);
    assert_eq!(again.code, Some(1), "{again:?}");
    assert_eq!(again.err.matches("is running").count(), 2, "{again:?}");
    done(&place, &["stop", "--all"]);
    for name in ["one", "other"] {
        assert_eq!(info(&place, name)["ended"], "guest shut down");
    }
    assert_eq!(done(&place, &["list"]).err, "no running VMs\n");
}

#[test]
fn a_restart_is_a_stop_and_a_start() {
    let place = place_with("web", OBEDIENT);
    done(&place, &["start", "web"]);
    let before = place.pid("web");
    done(&place, &["set", "web", "memory=96MiB"]);
    done(&place, &["restart", "web"]);
    assert_ne!(place.pid("web"), before);
    assert_eq!(json(&place, &["status", "web"])["memory_bytes"], 96 << 20);
    let happened = events(&place, "web");
    assert_eq!(happened.iter().filter(|name| *name == "QEMUCTL_STARTED").count(), 2, "{happened:?}");
    done(&place, &["kill", "web"]);
    assert_eq!(info(&place, "web")["ended"], "killed by SIGKILL");
    done(&place, &["restart", "web"]);
    done(&place, &["stop", "web"]);
}

#[test]
fn logs_are_followed_until_the_machine_has_ended() {
    let place = place_with("web", OBEDIENT);
    done(&place, &["start", "web"]);
    let mut follower = place.background(&["logs", "web", "-f"], "R");
    done(&place, &["stop", "web"]);
    assert!(follower.end().status.success());
    assert_eq!(done(&place, &["logs", "web", "--events", "-n", "1"]).out.lines().count(), 1);
}

#[test]
fn a_run_in_the_foreground_is_recorded_like_one_in_the_background() {
    for version in VERSIONS {
        let place = Place::new();
        create(&place, "web", POWER_OFF, version);
        assert_eq!(place.qemuctl(&["run", "web", "--no-console"]).code, Some(0), "{version}");
        let of_interest = ["QEMUCTL_STARTING", "QEMUCTL_STARTED", "RESUME", "SHUTDOWN", "QEMUCTL_ENDED"];
        let happened = events(&place, "web");
        let happened: Vec<_> = happened.iter().filter(|name| of_interest.contains(&name.as_str())).collect();
        assert_eq!(happened, of_interest, "{version}");
    }
}
