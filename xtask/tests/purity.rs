//! Proves that the bans in `qemu-argv/clippy.toml` bite: a crate under the same file that breaks
//! every one of them gets exactly that many lints.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;
use std::process::Command;

use serde::Deserialize;
use serde_json::Value;

const MANIFEST: &str = "[package]\nname = \"impure\"\nedition = \"2024\"\n[workspace]\n";

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ClippyConfig {
    disallowed_types: Vec<Ban>,
    disallowed_methods: Vec<Ban>,
}

#[derive(Deserialize)]
struct Ban {
    path: String,
}

fn config() -> (String, ClippyConfig) {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../qemu-argv/clippy.toml");
    let text = fs::read_to_string(&path).expect("qemu-argv has a clippy.toml");
    let config = toml::from_str(&text).expect("clippy.toml is TOML");
    (text, config)
}

/// A crate that names every banned type, and every banned function as a value.
fn impure_source(config: &ClippyConfig) -> String {
    let mut source = String::from("#![allow(dead_code, unused)]\n");
    for (number, ban) in config.disallowed_types.iter().enumerate() {
        let generics = match ban.path.rsplit("::").next() {
            Some("HashMap") => "<u8, u8>",
            Some("HashSet") => "<u8>",
            _ => "",
        };
        writeln!(source, "struct S{number}({}{generics});", ban.path).expect("a string can be written to");
    }
    for (number, ban) in config.disallowed_methods.iter().enumerate() {
        // Called, not only named: for some, clippy looks at calls alone. None of this ever runs.
        let call = match ban.path.rsplit_once("::").expect("a path has a module") {
            ("std::path::Path", method) => format!("std::path::Path::new(\"\").{method}();"),
            (_, "spawn") => format!("{}(|| ());", ban.path),
            (_, "sleep") => format!("{}(std::time::Duration::ZERO);", ban.path),
            (_, "exit") => format!("{}(0);", ban.path),
            (_, "copy" | "hard_link" | "rename" | "write") => format!("{}(\"\", \"\");", ban.path),
            (_, "set_permissions") => {
                "fn f(p: std::fs::Permissions) { std::fs::set_permissions(\"\", p); }".into()
            }
            (_, "var" | "var_os" | "absolute") | ("std::fs", _) => format!("{}(\"\");", ban.path),
            _ => format!("{}();", ban.path),
        };
        writeln!(source, "fn f{number}() {{ {call} }}").expect("a string can be written to");
    }
    source
}

#[test]
fn every_ban_bites() {
    let (text, config) = config();
    let dir = tempfile::tempdir().expect("a private directory");
    fs::create_dir(dir.path().join("src")).expect("writable");
    fs::write(dir.path().join("Cargo.toml"), MANIFEST).expect("writable");
    fs::write(dir.path().join("clippy.toml"), text).expect("writable");
    fs::write(dir.path().join("src/lib.rs"), impure_source(&config)).expect("writable");
    let output = Command::new(env!("CARGO"))
        .args(["clippy", "--offline", "--quiet", "--message-format", "json"])
        .current_dir(dir.path())
        .env("CARGO_TARGET_DIR", dir.path().join("target"))
        .output()
        .expect("cargo starts");
    let stdout = String::from_utf8(output.stdout).expect("cargo prints UTF-8");
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "the impure crate does not compile: {stdout}{stderr}");
    let mut found = BTreeSet::new();
    for line in stdout.lines() {
        let message: Value = serde_json::from_str(line).expect("cargo prints JSON");
        let code = message["message"]["code"]["code"].as_str().unwrap_or_default();
        if matches!(code, "clippy::disallowed_types" | "clippy::disallowed_methods") {
            let text = message["message"]["message"].as_str().expect("a message has text");
            found.insert(text.split('`').nth(1).expect("the message quotes a path").to_owned());
        }
    }
    let bans = config.disallowed_types.into_iter().chain(config.disallowed_methods);
    assert_eq!(found, bans.map(|ban| ban.path).collect());
}

/// Without the bans of a module the test above would have nothing to prove.
#[test]
fn files_variables_processes_and_clocks_are_banned() {
    let (_, config) = config();
    let bans: Vec<_> = config.disallowed_types.into_iter().chain(config.disallowed_methods).collect();
    let modules: BTreeSet<_> = bans.iter().filter_map(|ban| ban.path.split("::").nth(1)).collect();
    assert_eq!(
        modules,
        ["collections", "env", "fs", "hash", "net", "os", "path", "process", "thread", "time"].into()
    );
}
