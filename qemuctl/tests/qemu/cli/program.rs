//! Runs the program in a directory of the test's own, and reads what it says.

use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

use tempfile::TempDir;

/// Longer than anything here takes on a busy machine.
pub const GENEROUS: Duration = Duration::from_secs(120);

/// A directory with configs and images, and the sockets of the VMs that are started from it.
pub struct Place {
    dir: TempDir,
}

impl Drop for Place {
    /// Ends what a failed test has left in the background.
    fn drop(&mut self) {
        // Where the program itself does not run, there is nothing to end.
        let Ok(listed) = self.command(&["list", "--names"]).output() else { return };
        for name in String::from_utf8_lossy(&listed.stdout).lines() {
            let _ = self.command(&["kill", name]).output();
        }
    }
}

/// How the program ended, with what it printed made the same for every run.
#[derive(Debug)]
pub struct Answer {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

impl Answer {
    /// All of it as one text, for snapshots.
    pub fn whole(&self) -> String {
        let code = self.code.map_or_else(|| "a signal".to_owned(), |code| code.to_string());
        format!("{}{}exit code {code}", self.out, self.err)
    }
}

impl Place {
    pub fn new() -> Self {
        Self { dir: tempfile::tempdir().expect("a directory") }
    }

    /// The path of a file here.
    pub fn file(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    pub fn sockets(&self) -> PathBuf {
        self.dir.path().join("run")
    }

    /// Writes a file and returns its path.
    pub fn write(&self, name: &str, content: impl AsRef<[u8]>) -> PathBuf {
        let path = self.dir.path().join(name);
        std::fs::write(&path, content).expect("written");
        path
    }

    /// The program, with this directory for its work.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = Command::new(env!("CARGO_BIN_EXE_qemuctl"));
        command.args(args).current_dir(self.dir.path()).env("QEMUCTL_SOCKET_DIR", self.sockets());
        command.env("QEMUCTL_HOME", self.file("home"));
        command.env_remove("RUST_BACKTRACE").stdin(Stdio::null());
        command
    }

    /// Runs the program to its end.
    pub fn qemuctl(&self, args: &[&str]) -> Answer {
        self.answer(&self.command(args).output().expect("the program starts"))
    }

    /// Starts the program and reads its output until it prints `line`.
    pub fn background(&self, args: &[&str], line: &str) -> Background {
        let mut child = self
            .command(args)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("the program starts");
        let mut lines = BufReader::new(child.stdout.take().expect("piped")).lines();
        let found = lines.any(|printed| printed.expect("text").trim() == line);
        let mut background = Background { child: Some(child) };
        if !found {
            let output = background.end();
            panic!("{line:?} was not printed: {:?}", self.answer(&output));
        }
        background
    }

    /// What the program printed, without what differs from run to run.
    pub fn answer(&self, output: &Output) -> Answer {
        let text = |bytes: &[u8]| {
            let text = String::from_utf8_lossy(bytes).replace(&self.dir.path().display().to_string(), "DIR");
            let qemu = crate::support::qemu("10.0", "qemu-system-x86_64");
            let text = text.replace(&qemu.display().to_string(), "/QEMU");
            mask_numbers(&mask_numbers(&text.replace('\r', ""), "process "), "…\" has ")
        };
        Answer { code: output.status.code(), out: text(&output.stdout), err: text(&output.stderr) }
    }

    /// The process of the VM's QEMU, as `list` tells it.
    pub fn pid(&self, name: &str) -> i32 {
        let list = self.command(&["list", "--json"]).output().expect("the program starts");
        let rows: serde_json::Value = serde_json::from_slice(&list.stdout).expect("JSON");
        let row = rows.as_array().expect("a list").iter().find(|row| row["name"] == name);
        let pid = row.unwrap_or_else(|| panic!("{name} is not in {rows}"))["pid"].as_i64();
        pid.and_then(|pid| i32::try_from(pid).ok()).expect("a process id")
    }

    /// What is left in the socket directory besides the plans that detached VMs keep.
    pub fn leftovers(&self) -> Vec<String> {
        let entries = std::fs::read_dir(self.sockets());
        let names = entries.into_iter().flatten().map(|entry| entry.expect("readable").file_name());
        let names = names.map(|name| name.to_string_lossy().into_owned());
        names.filter(|name| !name.ends_with(".plan.json")).collect()
    }
}

/// The program while it runs. Killed when dropped.
pub struct Background {
    child: Option<Child>,
}

impl Background {
    pub fn pid(&self) -> i32 {
        let child = self.child.as_ref().expect("it has not been ended");
        i32::try_from(child.id()).expect("process ids fit")
    }

    /// Waits for its end and collects what it said.
    pub fn end(&mut self) -> Output {
        self.child.take().expect("it has not been ended").wait_with_output().expect("it ends")
    }
}

impl Drop for Background {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// Waits until `done`, and fails with `what` if that takes too long.
pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + GENEROUS;
    while !done() {
        assert!(Instant::now() < deadline, "{what}");
        std::thread::yield_now();
    }
}

/// Whether a process runs. A zombie, which waits for its parent to collect it, does not.
pub fn alive(pid: i32) -> bool {
    std::fs::read_to_string(format!("/proc/{pid}/stat")).is_ok_and(|stat| !stat.contains(") Z "))
}

/// Replaces the number behind each `word`.
fn mask_numbers(text: &str, word: &str) -> String {
    let mut parts = text.split(word);
    let mut masked = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let rest = part.trim_start_matches(|c: char| c.is_ascii_digit());
        masked.push_str(word);
        masked.push_str(if rest.len() < part.len() { "N" } else { "" });
        masked.push_str(rest);
    }
    masked
}
