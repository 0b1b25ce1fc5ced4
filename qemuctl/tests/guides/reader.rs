//! A reader of a guide: a directory, a home, and a shell in which everything is typed.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead as _, BufReader};
use std::os::unix::fs::{PermissionsExt as _, symlink};
use std::os::unix::process::CommandExt as _;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, killpg};
use nix::unistd::Pid;
use tempfile::TempDir;

use crate::page::{self, Expected, Step};

/// How long one command may take on a busy machine, compiling a small program included.
const PATIENCE: Duration = Duration::from_secs(900);

pub struct Reader {
    dir: TempDir,
}

impl Reader {
    /// A reader who has the program, QEMU and the project's guests, and nothing else.
    pub fn new() -> Self {
        let dir = tempfile::tempdir().expect("a directory");
        fs::create_dir_all(dir.path().join("home/.cache/qemuctl")).expect("created");
        fs::create_dir(dir.path().join("work")).expect("created");
        write_firmware(&dir.path().join("home/.config/qemu/firmware"));
        write_patches(&dir.path().join(".cargo/config.toml"));
        // What was found out about a QEMU holds for all guides.
        let discovery = Path::new(env!("CARGO_TARGET_TMPDIR")).join("guides-discovery");
        fs::create_dir_all(&discovery).expect("created");
        fs::set_permissions(&discovery, fs::Permissions::from_mode(0o700)).expect("made private");
        symlink(discovery, dir.path().join("home/.cache/qemuctl/discovery")).expect("linked");
        let guests = dir.path().join("home/.cache/qemuctl/guest");
        symlink(cache_of("QEMUCTL_GUEST_DIR", "guest"), guests).expect("linked");
        Self { dir }
    }

    /// Where files are written and commands are typed.
    pub fn work(&self) -> PathBuf {
        self.dir.path().join("work")
    }

    /// Does everything that the guide says.
    ///
    /// # Panics
    ///
    /// If a command does not end or print as the guide shows.
    pub fn follow(&self, guide: &Path) {
        let text = fs::read_to_string(guide).unwrap_or_else(|error| panic!("{}: {error}", guide.display()));
        let steps = page::steps(&text);
        assert!(!steps.is_empty(), "{} has nothing to do", guide.display());
        for step in steps {
            match step {
                Step::Checkout => copy_checkout(&self.work()),
                Step::File { name, content } => self.write(&name, &content),
                Step::Machine(content) => {
                    self.write("machine.toml", &content);
                    self.run("qemuctl argv machine.toml", &[], &Expected::default(), guide);
                }
                Step::Command { command, shown, expected } => self.run(&command, &shown, &expected, guide),
            }
        }
        let left = self.list();
        assert!(left.is_empty(), "{} leaves VMs behind: {left}", guide.display());
    }

    fn write(&self, name: &str, content: &str) {
        let path = self.work().join(name);
        fs::create_dir_all(path.parent().expect("a file has a directory")).expect("created");
        fs::write(&path, content).expect("written");
        if name.ends_with("Cargo.toml") {
            // Without a network: the versions that are here.
            fs::copy(workspace().join("Cargo.lock"), path.with_extension("lock")).expect("copied");
        }
    }

    fn run(&self, command: &str, shown: &[String], expected: &Expected, guide: &Path) {
        let began = Instant::now();
        let (code, output) = self.shell(command, expected.interrupt_at.as_deref());
        println!("$ {command}\n{}\n[{code:?} after {:.1?}]", output.join("\n"), began.elapsed());
        assert_eq!(code, Some(expected.exit), "{}: {command}\n{}", guide.display(), output.join("\n"));
        assert!(
            shown.is_empty() || page::matches(shown, &output),
            "{}: {command}\nshown:\n{}\nreally:\n{}",
            guide.display(),
            shown.join("\n"),
            output.join("\n")
        );
    }

    /// Types a command; returns its exit code and the lines it printed.
    fn shell(&self, command: &str, interrupt_at: Option<&str>) -> (Option<i32>, Vec<String>) {
        let mut bash = self.command("bash");
        let script = format!("exec 2>&1\n{command}");
        bash.args(["-c", &script]).stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0);
        let mut child = Killed(bash.spawn().expect("bash starts"));
        let group = Pid::from_raw(i32::try_from(child.0.id()).expect("process ids fit"));
        let stdout = child.0.stdout.take().expect("piped");
        let (sender, lines) = mpsc::channel();
        std::thread::spawn(move || {
            for line in BufReader::new(stdout).split(b'\n') {
                // Terminals' carriage returns say nothing here.
                let line =
                    String::from_utf8_lossy(&line.expect("readable")).replace('\r', "").trim_end().to_owned();
                if sender.send(line).is_err() {
                    return;
                }
            }
        });
        let deadline = Instant::now() + PATIENCE;
        let mut output = Vec::new();
        let mut interrupt_at = interrupt_at;
        loop {
            match lines.recv_timeout(deadline.saturating_duration_since(Instant::now())) {
                Ok(line) => {
                    if interrupt_at.is_some_and(|text| line.contains(text)) {
                        interrupt_at = None;
                        killpg(group, Signal::SIGINT).expect("it runs");
                    }
                    // What this host lacks is not in the guide.
                    if !line.starts_with("warning: no KVM") {
                        output.push(line);
                    }
                }
                Err(mpsc::RecvTimeoutError::Disconnected) => break,
                Err(mpsc::RecvTimeoutError::Timeout) => {
                    let _ = killpg(group, Signal::SIGKILL);
                    panic!("{command} does not end:\n{}", output.join("\n"));
                }
            }
        }
        let status = child.0.wait().expect("it ends");
        assert!(interrupt_at.is_none(), "{command} never said {interrupt_at:?}:\n{}", output.join("\n"));
        (status.code(), output)
    }

    /// A program with the reader's home, directory and search path.
    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        let home = self.dir.path().join("home");
        let ours = Path::new(env!("CARGO_BIN_EXE_qemuctl")).parent().expect("a program has a directory");
        let qemu = cache_of("QEMUCTL_QEMUS_DIR", "qemus").join("10.0/bin");
        let path = std::env::var_os("PATH").unwrap_or_default();
        let path = [ours.to_owned(), qemu].into_iter().chain(std::env::split_paths(&path));
        command.env("PATH", std::env::join_paths(path).expect("no colons"));
        // Cargo itself is the user's own.
        for (name, default) in [("CARGO_HOME", ".cargo"), ("RUSTUP_HOME", ".rustup")] {
            let theirs = std::env::home_dir().expect("a home").join(default);
            command.env(name, std::env::var_os(name).unwrap_or_else(|| theirs.into()));
        }
        for name in ["XDG_CACHE_HOME", "QEMUCTL_GUEST_DIR", "QEMUCTL_QEMUS_DIR", "RUST_BACKTRACE"] {
            command.env_remove(name);
        }
        // What the workspace compiled of other people's crates need not be compiled again.
        let target =
            Path::new(env!("CARGO_TARGET_TMPDIR")).parent().expect("it lies in the target directory");
        command.env("CARGO_TARGET_DIR", target).env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only");
        command.env("CARGO_NET_OFFLINE", "true");
        command.current_dir(self.work()).env("HOME", home);
        command.env("QEMUCTL_SOCKET_DIR", self.dir.path().join("run")).env("LC_ALL", "C.UTF-8");
        command.env("QEMUCTL_HOME", self.dir.path().join("machines"));
        command
    }

    /// The names of the VMs that run.
    fn list(&self) -> String {
        let output = self.command("qemuctl").args(["list", "--names"]).output().expect("qemuctl starts");
        String::from_utf8(output.stdout).expect("text")
    }
}

/// Nothing that a guide started outlives it, also if it fails in the middle.
impl Drop for Reader {
    fn drop(&mut self) {
        for name in self.list().lines() {
            let _ = self.command("qemuctl").args(["kill", name]).output();
        }
    }
}

/// A process that does not outlive a test which fails.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

fn workspace() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().expect("the crate lies in the workspace")
}

/// Copies what makes up the workspace, which is everything but what was built.
fn copy_checkout(to: &Path) {
    let mut copy = Command::new("tar");
    copy.args(["-c", "--exclude=./target", "--exclude=./.git", "."]).current_dir(workspace());
    let mut copy = copy.stdout(Stdio::piped()).spawn().expect("tar starts");
    let archive = copy.stdout.take().expect("piped");
    let unpacked = Command::new("tar").arg("-x").current_dir(to).stdin(archive).status();
    assert!(unpacked.expect("tar starts").success() && copy.wait().expect("it ends").success());
}

/// Lets cargo take our crates from the workspace instead of crates.io.
fn write_patches(config: &Path) {
    let mut text = String::from("[patch.crates-io]\n");
    for name in ["qmp-proto", "qmp-client", "qemu-argv", "qemu-discovery", "qemuctl"] {
        writeln!(text, "{name} = {{ path = \"{}\" }}", workspace().join(name).display())
            .expect("a string can be written to");
    }
    fs::create_dir_all(config.parent().expect("a file has a directory")).expect("created");
    fs::write(config, text).expect("written");
}

/// Describes the firmware that lies beside the QEMU, as a distribution does for the one it installs.
fn write_firmware(dir: &Path) {
    fs::create_dir_all(dir).expect("created");
    let installed = cache_of("QEMUCTL_QEMUS_DIR", "qemus").join("10.0/usr/share");
    for entry in fs::read_dir(installed.join("qemu/firmware")).expect("the QEMU comes with firmware") {
        let entry = entry.expect("readable");
        let text = fs::read_to_string(entry.path()).expect("readable");
        let text = text.replace("/usr/share", installed.to_str().expect("text"));
        fs::write(dir.join(entry.file_name()), text).expect("written");
    }
}

/// What `cargo xtask` prepares: where the variable says, else in the cache.
fn cache_of(variable: &str, name: &str) -> PathBuf {
    let cache = || {
        let base = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
        base.unwrap_or_else(|| std::env::home_dir().expect("a home").join(".cache")).join("qemuctl")
    };
    let path = std::env::var_os(variable).map_or_else(|| cache().join(name), PathBuf::from);
    assert!(path.is_dir(), "{} is missing: run `cargo xtask test` once", path.display());
    path
}
