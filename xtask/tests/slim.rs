//! Who takes the client with some modules of QMP gets the types of these modules alone.

use std::fs;
use std::path::Path;
use std::process::Command;

use serde_json::Value;

/// The features of `qmp-proto` in a program that depends on the client and names `features` itself.
fn resolved(features: &str) -> Value {
    let workspace = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let workspace = workspace.canonicalize().expect("the workspace is there");
    let project = tempfile::tempdir().expect("a temporary folder");
    let manifest = format!(
        r#"
            [package]
            name = "slim"
            edition = "2024"

            [dependencies]
            qmp-client = {{ path = "{}" }}
            qmp-proto = {{ path = "{}", default-features = false, features = [{features}] }}

            [workspace]
        "#,
        workspace.join("qmp-client").display(),
        workspace.join("qmp-proto").display(),
    );
    fs::create_dir(project.path().join("src")).expect("made");
    fs::write(project.path().join("src/lib.rs"), "").expect("written");
    fs::write(project.path().join("Cargo.toml"), manifest).expect("written");
    // The versions that are there already, so that nothing is fetched.
    fs::copy(workspace.join("Cargo.lock"), project.path().join("Cargo.lock")).expect("copied");
    let output = Command::new(env!("CARGO"))
        .args(["metadata", "--format-version", "1", "--offline"])
        .current_dir(project.path())
        .output()
        .expect("cargo starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let metadata: Value = serde_json::from_slice(&output.stdout).expect("cargo metadata is JSON");
    let nodes = metadata["resolve"]["nodes"].as_array().expect("a list");
    let proto = nodes.iter().find(|node| node["id"].as_str().is_some_and(|id| id.contains("qmp-proto")));
    proto.expect("qmp-proto is used")["features"].clone()
}

#[test]
fn the_client_turns_on_no_module() {
    assert_eq!(resolved(""), serde_json::json!([]));
    assert_eq!(resolved(r#""run-state""#), serde_json::json!(["run-state"]));
}
