//! Every dependency has a licence that `deny.toml` allows and comes from the default registry.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

#[derive(serde::Deserialize)]
struct DenyConfig {
    licenses: Licenses,
}

#[derive(serde::Deserialize)]
struct Licenses {
    allow: BTreeSet<String>,
}

fn packages() -> Vec<Value> {
    let mut cargo = Command::new(env!("CARGO"));
    cargo
        .args(["metadata", "--format-version", "1", "--all-features"])
        .current_dir(env!("CARGO_MANIFEST_DIR"));
    let output = cargo.output().expect("cargo starts");
    assert!(output.status.success(), "cargo metadata: {}", String::from_utf8_lossy(&output.stderr));
    let mut metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    serde_json::from_value(metadata["packages"].take()).expect("a list of packages")
}

/// Whether an SPDX expression can be met with the allowed licences.
///
/// Enough of the grammar for the expressions there are: OR binds loosest, brackets only around it.
fn can_be_met(expression: &str, allowed: &BTreeSet<String>) -> bool {
    // "A/B" is how "A OR B" was written before SPDX.
    let expression = expression.replace('/', " OR ");
    if let Some((left, right)) = expression.split_once('(') {
        let (inner, rest) = right.split_once(')').expect("brackets come in pairs");
        let inner = if can_be_met(inner, allowed) { "MIT" } else { "none" };
        return can_be_met(&format!("{left}{inner}{rest}"), allowed);
    }
    expression.split(" OR ").any(|all| all.split(" AND ").all(|one| allowed.contains(one.trim())))
}

#[test]
fn licences_are_allowed() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deny.toml");
    let text = fs::read_to_string(path).expect("the workspace has a deny.toml");
    let allowed = toml::from_str::<DenyConfig>(&text).expect("deny.toml is TOML").licenses.allow;
    let licence = |package: &Value| package["license"].as_str().unwrap_or("none").to_owned();
    let refused: Vec<_> = packages()
        .iter()
        .filter(|package| !can_be_met(&licence(package), &allowed))
        .map(|package| format!("{}: {}", package["name"], licence(package)))
        .collect();
    assert_eq!(refused, Vec::<String>::new());
    // The same judge refuses what is not on the list.
    assert!(!can_be_met("(MIT OR Apache-2.0) AND GPL-3.0-only", &allowed));
}

#[test]
fn packages_come_from_the_default_registry() {
    let elsewhere: Vec<_> = packages()
        .iter()
        .filter(|package| !package["source"].is_null())
        .filter(|package| package["source"] != "registry+https://github.com/rust-lang/crates.io-index")
        .map(|package| format!("{}: {}", package["name"], package["source"]))
        .collect();
    assert_eq!(elsewhere, Vec::<String>::new());
}
