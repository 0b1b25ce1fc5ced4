//! Tests that need a process of their own: to count its descriptors and children, or to kill it.

use std::env;
use std::process::{Command, Stdio};

/// Tells a copy of the test program which test it runs alone.
pub const ROLE: &str = "QEMUCTL_TEST_ROLE";

/// Whether this process was started by [`command`] for the test called `test`.
pub fn is_role(test: &str) -> bool {
    env::var(ROLE).is_ok_and(|role| role == test)
}

/// The command that runs the test called `test` (with its modules) alone, in the role.
pub fn command(test: &str) -> Command {
    let mut command = Command::new(env::current_exe().expect("the test program has a path"));
    command.args(["--exact", test, "--nocapture", "--test-threads=1"]).env(ROLE, test).stdin(Stdio::null());
    command
}

/// Runs `body` in a process of its own.
pub fn alone(test: &str, body: impl FnOnce()) {
    if is_role(test) {
        return body();
    }
    let output = command(test).output().expect("the test program starts");
    assert!(
        output.status.success(),
        "{}{}",
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr)
    );
}

/// What a process holds: its descriptors, its threads and its children, zombies included.
#[derive(Debug, PartialEq, Eq)]
pub struct Holdings {
    pub descriptors: Vec<String>,
    pub children: String,
}

impl Holdings {
    /// Of this process.
    pub fn now() -> Self {
        let list = |dir: &str| -> Vec<std::path::PathBuf> {
            std::fs::read_dir(dir).expect("proc").map(|entry| entry.expect("proc").path()).collect()
        };
        let kind = |fd: &std::path::PathBuf| {
            let target = std::fs::read_link(fd).ok()?;
            // The number in `socket:[1234]` differs from run to run.
            Some(target.to_string_lossy().split(":[").next().unwrap_or_default().to_owned())
        };
        let mut descriptors: Vec<String> = list("/proc/self/fd").iter().filter_map(kind).collect();
        descriptors.sort();
        let children = list("/proc/self/task")
            .iter()
            .map(|task| std::fs::read_to_string(task.join("children")).unwrap_or_default())
            .collect();
        Self { descriptors, children }
    }
}
