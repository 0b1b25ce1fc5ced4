//! Holds the layers: which crate of ours may use which, and what else each may use.
//!
//! Whatever has no row fails, so a row that is deleted while something stands on it is missed.

use std::collections::{BTreeMap, BTreeSet};
use std::process::Command;

use serde_json::Value;

/// Who uses whom among our own crates. Data moves right, imports point left.
const LAYERS: [(&str, &str); 10] = [
    ("qmp-client", "qmp-proto"),
    ("qemu-discovery", "qemu-argv"),
    ("qemu-discovery", "qmp-client"),
    ("qemu-discovery", "qmp-proto"),
    ("qemuctl", "qemu-argv"),
    ("qemuctl", "qemu-discovery"),
    ("qemuctl", "qmp-client"),
    ("qemuctl", "qmp-proto"),
    // The tests' own choice of modules; the client itself has none.
    ("qmp-client (tests)", "qmp-proto"),
    // Checks its JSON against the types of QEMU's own schema.
    ("qemu-argv (tests)", "qmp-proto"),
];

/// What a pure crate may be made of, with all its features: its dependencies, theirs, and so on.
///
/// Nothing here reads a file, a socket or a clock at run time.
const PURE: [(&str, &[&[&str]]); 2] = [("qmp-proto", &[DATA]), ("qemu-argv", &[DATA, ERRORS, SCHEMA, TEXTS])];

const DATA: &[&str] = &[
    "itoa",
    "memchr",
    "proc-macro2",
    "quote",
    "serde",
    "serde_core",
    "serde_derive",
    "serde_json",
    "syn",
    "unicode-ident",
    "zmij",
];
const ERRORS: &[&str] = &["thiserror", "thiserror-impl"];
/// Names and words are short, and copied often.
const TEXTS: &[&str] = &["smol_str"];
const SCHEMA: &[&str] =
    &["dyn-clone", "ref-cast", "ref-cast-impl", "schemars", "schemars_derive", "serde_derive_internals"];

/// What the other crates may name in their `[dependencies]` beside our own.
const OUTSIDE: [(&str, &[&[&str]]); 3] = [
    ("qmp-client", &[ASYNC, &["base64", "memchr", "tracing"]]),
    ("qemu-discovery", &[ASYNC, &["rustix", "tempfile"]]),
    (
        "qemuctl",
        &[
            ASYNC,
            &[
                "hmac-sha256",
                "png",
                "regex-lite",
                "rustix",
                "schemars",
                "tempfile",
                "toml",
                "tracing",
                "zeroize",
            ],
            PROVISION,
            PROGRAM,
        ],
    ),
];

const ASYNC: &[&str] = &["nix", "serde", "serde_json", "thiserror", "tokio"];

/// Behind the feature `provision`: a FAT file system, hashes of passwords, and SSH keys.
const PROVISION: &[&str] = &["base64", "fatfs", "sha-crypt", "sha2", "ssh-key"];

/// Behind the feature `cli`.
const PROGRAM: &[&str] = &[
    "anstream",
    "anstyle",
    "clap",
    "clap_complete",
    "clap_mangen",
    "humantime",
    "indicatif",
    "serde_path_to_error",
    "strsim",
    "svg",
    "termtree",
    "toml_edit",
    "unicode-width",
    "ureq",
];

fn metadata() -> Value {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["metadata", "--format-version", "1", "--all-features"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.output().expect("cargo starts");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON")
}

fn text(value: &Value) -> &str {
    value.as_str().expect("a string in cargo's metadata")
}

fn list(value: &Value) -> &[Value] {
    value.as_array().expect("a list in cargo's metadata")
}

/// The packages of the workspace, by name.
fn members(metadata: &Value) -> BTreeMap<&str, &Value> {
    let ids: BTreeSet<_> = list(&metadata["workspace_members"]).iter().map(text).collect();
    let packages = list(&metadata["packages"]).iter();
    packages
        .filter(|package| ids.contains(text(&package["id"])))
        .map(|package| (text(&package["name"]), package))
        .collect()
}

/// The direct dependencies of `package`: name, and whether only tests use it.
fn dependencies(package: &Value) -> BTreeSet<(&str, bool)> {
    let all = list(&package["dependencies"]).iter();
    all.map(|dependency| (text(&dependency["name"]), dependency["kind"] == "dev")).collect()
}

#[test]
fn our_crates_use_each_other_as_the_layers_say() {
    let metadata = metadata();
    let members = members(&metadata);
    let mut without_row = BTreeSet::new();
    for (name, package) in &members {
        for (used, in_tests) in dependencies(package) {
            if members.contains_key(used) {
                let user = if in_tests { format!("{name} (tests)") } else { (*name).to_owned() };
                if !LAYERS.contains(&(&*user, used)) {
                    without_row.insert(format!("{user} uses {used}"));
                }
            }
        }
    }
    assert_eq!(without_row, BTreeSet::new(), "no row of LAYERS allows this");
}

#[test]
fn pure_crates_are_made_of_pure_parts() {
    let metadata = metadata();
    let nodes: BTreeMap<_, _> =
        list(&metadata["resolve"]["nodes"]).iter().map(|node| (text(&node["id"]), node)).collect();
    let names: BTreeMap<_, _> = list(&metadata["packages"])
        .iter()
        .map(|package| (text(&package["id"]), text(&package["name"])))
        .collect();
    let members = members(&metadata);
    for (name, parts) in PURE {
        let mut found = BTreeSet::new();
        let mut todo = vec![text(&members[name]["id"])];
        while let Some(id) = todo.pop() {
            for dependency in list(&nodes[id]["deps"]) {
                let is_used = list(&dependency["dep_kinds"]).iter().any(|kind| kind["kind"] != "dev");
                let id = text(&dependency["pkg"]);
                if is_used && found.insert(names[id]) {
                    todo.push(id);
                }
            }
        }
        found.retain(|part| !parts.concat().contains(part));
        assert_eq!(found, BTreeSet::new(), "{name} is made of this and its row in PURE does not say so");
    }
}

#[test]
fn other_crates_use_what_their_row_says() {
    let metadata = metadata();
    let members = members(&metadata);
    let mut without_row = BTreeSet::new();
    for (name, package) in &members {
        let is_pure = PURE.iter().any(|(pure, _)| pure == name);
        if is_pure || *name == "xtask" {
            continue;
        }
        let row =
            OUTSIDE.iter().find(|(row, _)| row == name).map(|(_, parts)| parts.concat()).unwrap_or_default();
        for (used, in_tests) in dependencies(package) {
            if !in_tests && !members.contains_key(used) && !row.contains(&used) {
                without_row.insert(format!("{name} uses {used}"));
            }
        }
    }
    assert_eq!(without_row, BTreeSet::new(), "no row of OUTSIDE allows this");
}
