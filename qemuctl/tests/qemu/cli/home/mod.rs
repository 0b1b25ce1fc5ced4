//! Machines of the home, by the program.

mod changes;
mod faults;
mod keeper;
mod life;

use serde_json::Value;

use super::guest::disk;
use super::program::{Answer, Place};
use crate::support::qemu;

/// A place with a machine called `name`, whose disk has this boot sector.
fn place_with(name: &str, code: &[u8]) -> Place {
    let place = Place::new();
    create(&place, name, code, "10.0");
    place
}

/// Creates a machine for a QEMU of that version.
fn create(place: &Place, name: &str, code: &[u8], version: &str) -> Answer {
    place.write("guest.raw", disk(code));
    let qemu = qemu(version, "qemu-system-x86_64").display().to_string();
    let created = place.qemuctl(&[
        "create",
        name,
        "guest.raw",
        "--qemu",
        &qemu,
        "-m",
        "64M",
        "--accel",
        "tcg",
        "--no-network",
        "--arch",
        "x86_64",
    ]);
    assert_eq!(created.code, Some(0), "{created:?}");
    created
}

/// Runs a command that has to succeed.
fn done(place: &Place, args: &[&str]) -> Answer {
    let answer = place.qemuctl(args);
    assert_eq!(answer.code, Some(0), "{args:?}: {answer:?}");
    answer
}

/// What a command prints as JSON.
fn json(place: &Place, args: &[&str]) -> Value {
    let args: Vec<_> = args.iter().copied().chain(["--json"]).collect();
    let output = place.command(&args).output().expect("the program starts");
    serde_json::from_slice(&output.stdout)
        .unwrap_or_else(|error| panic!("{args:?}: {error}: {:?}", place.answer(&output)))
}

fn info(place: &Place, name: &str) -> Value {
    json(place, &["info", name])
}

/// A process that `info` names.
fn process(place: &Place, name: &str, key: &str) -> i32 {
    let info = info(place, name);
    info[key].as_i64().and_then(|pid| i32::try_from(pid).ok()).unwrap_or_else(|| panic!("no {key}: {info}"))
}

/// The names of the events that were written down.
fn events(place: &Place, name: &str) -> Vec<String> {
    let text = done(place, &["logs", name, "--events"]).out;
    let events = text.lines().map(|line| serde_json::from_str::<Value>(line).expect("JSON"));
    events.map(|event| event["event"].as_str().expect("a name").to_owned()).collect()
}
