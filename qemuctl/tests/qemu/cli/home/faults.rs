//! Commands that meet each other, and homes that cannot be written.

use std::fs;
use std::os::unix::fs::{PermissionsExt, symlink};
use std::process::Command;

use super::super::guest::{OBEDIENT, disk};
use super::super::program::{GENEROUS, Place};
use super::{done, info, place_with};
use crate::support::qemu;

#[test]
fn of_many_starts_one_succeeds() {
    let place = place_with("web", OBEDIENT);
    let children: Vec<_> = (0..6)
        .map(|_| {
            let mut start = place.command(&["start", "web"]);
            start.stderr(std::process::Stdio::piped()).spawn().expect("the program starts")
        })
        .collect();
    let mut started = 0;
    for child in children {
        let answer = place.answer(&child.wait_with_output().expect("it ends"));
        started += usize::from(answer.code == Some(0));
        assert!(answer.code == Some(0) || answer.err.starts_with("error: web is running"), "{answer:?}");
    }
    assert_eq!(started, 1);
    done(&place, &["stop", "web"]);
    assert_eq!(info(&place, "web")["ended"], "guest shut down");
}

#[test]
fn of_many_that_make_a_machine_one_succeeds() {
    let place = Place::new();
    place.write("guest.raw", disk(OBEDIENT));
    let children: Vec<_> = (0..6)
        .map(|_| {
            let mut create = place.command(&["create", "web", "guest.raw"]);
            create.stderr(std::process::Stdio::piped()).spawn().expect("the program starts")
        })
        .collect();
    let mut created = 0;
    for child in children {
        let answer = place.answer(&child.wait_with_output().expect("it ends"));
        created += usize::from(answer.code == Some(0));
        assert!(answer.code == Some(0) || answer.err.contains("already exists"), "{answer:?}");
    }
    assert_eq!(created, 1);
    let entries = fs::read_dir(place.file("home/machines")).expect("readable").flatten();
    let mut names: Vec<_> = entries.map(|entry| entry.file_name().into_string().expect("text")).collect();
    names.sort();
    assert_eq!(names, [".lock", "web"]);
}

#[test]
fn a_creation_that_is_killed_leaves_no_machine() {
    let place = Place::new();
    // Large enough that it is never copied in time.
    let large = place.file("large.raw");
    fs::File::create(&large).and_then(|file| file.set_len(1 << 40)).expect("made");
    let mut creation = place.command(&["create", "web", "large.raw"]).spawn().expect("the program starts");
    let folders = place.file("home/machines");
    let is_there = || fs::read_dir(&folders).is_ok_and(|entries| entries.count() > 1);
    super::super::program::until("it has begun", is_there);
    creation.kill().expect("ours");
    creation.wait().expect("ours");
    assert_eq!(done(&place, &["list", "--all", "--names"]).out, "");
    // What it left goes with the next one.
    place.write("guest.raw", disk(OBEDIENT));
    done(&place, &["create", "web", "guest.raw"]);
    assert_eq!(fs::read_dir(&folders).expect("readable").count(), 2);
}

#[test]
fn a_home_that_others_can_write_to_is_refused() {
    let place = place_with("web", OBEDIENT);
    let folder = place.file("home/machines/web");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o777)).expect("ours");
    let open = place.qemuctl(&["start", "web"]);
    assert_eq!(open.code, Some(1), "{open:?}");
    assert!(open.err.contains("DIR/home/machines/web is not safe: other users can write to it"), "{open:?}");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("ours");
    symlink(&folder, place.file("home/machines/link")).expect("made");
    let link = place.qemuctl(&["start", "link"]);
    assert!(link.err.contains("it is a symbolic link"), "{link:?}");
    assert_eq!(done(&place, &["list", "--all", "--names"]).out, "web\n");
}

/// In a mount namespace of its own, with a home of 3 MiB: full, then read-only.
#[test]
fn a_home_that_is_full_or_read_only_loses_nothing() {
    let place = Place::new();
    place.write("guest.raw", disk(OBEDIENT));
    fs::create_dir(place.file("home")).expect("made");
    let script = r#"
        mount -t tmpfs -o size=3M,mode=700 none home
        "$PROGRAM" create web guest.raw --qemu "$QEMU" -m 64M --accel tcg --no-network --arch x86_64
        "$PROGRAM" start web
        (cat /dev/zero > home/filler) 2> /dev/null || true
        echo "== full: set"; "$PROGRAM" set web memory=2GiB || echo "code $?"
        grep memory home/machines/web/machine.toml
        echo "== full: create"; "$PROGRAM" create other guest.raw || echo "code $?"
        ls -A home/machines
        echo "== full: stop"; "$PROGRAM" stop web; "$PROGRAM" info web | grep ended
        echo "== full: start"; "$PROGRAM" start web || echo "code $?"
        rm home/filler
        echo "== room: start"; "$PROGRAM" start web; "$PROGRAM" stop web
        mount -o remount,ro home
        echo "== read-only: set"; "$PROGRAM" set web memory=2GiB || echo "code $?"
        echo "== read-only: start"; "$PROGRAM" start web || echo "code $?"
        echo "== read-only: rm"; "$PROGRAM" rm web --yes || echo "code $?"
        echo "== read-only: list"; "$PROGRAM" list --all --names
    "#;
    let mut unshare = Command::new("timeout");
    unshare.args([&GENEROUS.as_secs().to_string(), "unshare"]);
    if !rustix::process::geteuid().is_root() {
        unshare.arg("--map-root-user");
    }
    let program = place.command(&[]);
    unshare.args(["--mount", "--propagation", "private", "sh", "-ec", &format!("exec 2>&1\n{script}")]);
    for (name, value) in program.get_envs() {
        unshare.env(name, value.unwrap_or_default());
    }
    unshare.env("PROGRAM", program.get_program()).env("QEMU", qemu("10.0", "qemu-system-x86_64"));
    let output = unshare.current_dir(place.file("")).output().expect("util-linux is installed");
    let answer = place.answer(&output);
    let seconds = regex::Regex::new(r"(\d+\.\d+ s\)|\d+s ago)").expect("valid");
    insta::assert_snapshot!(seconds.replace_all(&answer.whole(), "…"));
}
