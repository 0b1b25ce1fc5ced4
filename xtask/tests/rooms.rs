//! Holds the order of the rooms of a crate, which are its top-level modules: none imports from one above it, and no files
//! import each other in a circle. `ARCHITECTURE.md` draws the order.

mod imports;

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use imports::{Sources, imports, room, sources};

/// The root of each crate, and its rooms, the lowest first. The root is above all.
const ROOMS: [(&str, &str); 7] = [
    (
        "qemu-argv/src/lib.rs",
        "name flag_options value property_kinds schema_forms topology qemu_target config schema endpoints error plan planner render import",
    ),
    ("qmp-proto/src/lib.rs", "traits shape generated decode wire"),
    (
        "qmp-client/src/lib.rs",
        "options printable error trace wire events pipeline connection agent call session descriptors job \
         reconnect testing",
    ),
    (
        "qemu-discovery/src/lib.rs",
        "error obstacle places process words cache binary probe accel firmware instances doctor",
    ),
    (
        "qemuctl/src/lib.rs",
        "state reason config error trace runtime saved supervise channel instance guest launch attach events \
         control image snapshot home blocking prelude",
    ),
    // It uses the library as anybody does.
    ("qemuctl/src/main.rs", "cli"),
    (
        "xtask/src/main.rs",
        "run elf places tidy codegen bind libraries system apt qemus servers guest bench check demo package test \
         boards corpus ceph storm cloud",
    ),
];

/// Every import from a room above, and every room that has no place in the order.
fn climbing(imports: &BTreeMap<String, BTreeSet<String>>, rooms: &str) -> Vec<String> {
    let rooms: Vec<_> = rooms.split_whitespace().collect();
    let floor = |file: &str| match room(file) {
        "lib" | "main" => Some(rooms.len()),
        room => rooms.iter().position(|other| *other == room),
    };
    let mut found = Vec::new();
    for (file, needed) in imports {
        if floor(file).is_none() {
            found.push(format!("{file} is in no room"));
        }
        let above = needed.iter().filter(|other| floor(other) > floor(file));
        found.extend(above.map(|other| format!("{file} imports {other}, which is above it")));
    }
    found
}

/// For every file in a circle, the shortest way round.
fn circles(imports: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for start in imports.keys() {
        let mut ways: Vec<Vec<&String>> = vec![vec![start]];
        let mut seen: BTreeSet<&String> = BTreeSet::new();
        let mut next = 0;
        while let Some(way) = ways.get(next).cloned() {
            next += 1;
            let needed = way.last().and_then(|last| imports.get(*last)).into_iter().flatten();
            for other in needed {
                if other == start {
                    // Each circle is told once, from its first file on.
                    if way.iter().all(|file| *file >= start) {
                        let names: Vec<_> = way.iter().chain([&start]).map(|file| file.as_str()).collect();
                        found.insert(names.join(" → "));
                    }
                    next = ways.len();
                } else if seen.insert(other) {
                    ways.push([&way[..], &[other]].concat());
                }
            }
        }
    }
    found
}

fn faults(sources: &Sources, rooms: &str) -> Vec<String> {
    let imports = imports(sources);
    let mut found = climbing(&imports, rooms);
    found.extend(circles(&imports));
    found
}

fn workspace() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn sources_of(root: &str) -> Sources {
    let sources = sources(&workspace().join(root));
    assert!(sources.len() > 20, "{root} has more files than {}", sources.len());
    sources
}

#[test]
fn imports_go_down_and_in_no_circle() {
    for (root, rooms) in ROOMS {
        let found = faults(&sources_of(root), rooms);
        assert!(found.is_empty(), "{root}:\n  {}", found.join("\n  "));
    }
}

#[test]
fn every_crate_has_an_order() {
    let crates = fs::read_dir(workspace()).expect("the workspace is there").flatten();
    let roots =
        crates.flat_map(|entry| ["lib.rs", "main.rs"].map(|root| entry.path().join("src").join(root)));
    for root in roots.filter(|root| root.exists()) {
        let known = ROOMS.iter().any(|(known, _)| workspace().join(known) == root);
        assert!(known, "{} is not in ROOMS", root.display());
    }
}

/// What is planted is found, and told with both files.
#[test]
fn an_import_that_climbs_and_a_circle_are_found() {
    let (root, rooms) = ROOMS[0];
    let plant = |file: &str, line: &str| {
        let mut sources = sources_of(root);
        let text = sources.get_mut(file).unwrap_or_else(|| panic!("{file} is there"));
        // Behind the comment that a file begins with.
        *text = format!("{text}\n{line}\n");
        faults(&sources, rooms).join("\n")
    };
    let climbs = plant("plan/bundle.rs", "use crate::planner::NewDevice;");
    assert!(climbs.contains("plan/bundle.rs imports planner/new_device.rs, which is above it"), "{climbs}");
    // By a path in the code, through a re-export.
    let climbs = plant("plan/bundle.rs", "fn planted(_: crate::CommandLine) {}");
    assert!(climbs.contains("plan/bundle.rs imports render/command_line.rs, which is above it"), "{climbs}");
    let circle = plant("topology/slots.rs", "fn planted(_: super::buses::Buses) {}");
    assert!(circle.contains("topology/buses.rs → topology/slots.rs → topology/buses.rs"), "{circle}");
}

#[test]
fn a_room_without_a_place_is_found() {
    let (root, rooms) = ROOMS[0];
    let (_, others) = rooms.split_once(' ').expect("there are more rooms than one");
    let found = faults(&sources_of(root), others).join("\n");
    assert!(found.contains("name.rs is in no room"), "{found}");
}
