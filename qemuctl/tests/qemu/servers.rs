//! Servers of a test's own, and a network namespace of its own to run them in.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use crate::support::dir_from;

/// How long a server may take to come up or to answer on a machine that does much else.
pub const GENEROUS: Duration = Duration::from_secs(120);

/// The marks of a test that runs in its own namespace.
const INSIDE: &str = "QEMUCTL_TEST_INSIDE";

/// The program `name` of those that `cargo xtask servers` unpacks.
pub fn program(name: &str) -> PathBuf {
    let path = dir_from("QEMUCTL_SERVERS_DIR", "servers").join("programs").join(name);
    assert!(path.exists(), "{} is missing: run `cargo xtask servers`", path.display());
    path
}

/// Runs the body of the test function `test` in a network namespace where every port is free and nobody else is.
///
/// A thread cannot be moved there, since VMs are started by another: the test runs once more as a process of its own.
pub fn isolated<T: Fn()>(test: T, body: impl Future<Output = ()>) {
    let name = name_of(&test);
    if std::env::var_os(INSIDE).is_some() {
        run(Command::new(program("ip")).args(["link", "set", "lo", "up"]));
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        return runtime.expect("a runtime").block_on(body);
    }
    let scratch = scratch();
    let mut command = Command::new("setpriv");
    command.args(["--pdeathsig", "KILL", "--", "unshare", "--net"]);
    if !rustix::process::geteuid().is_root() {
        command.args(["--map-current-user", "--keep-caps"]);
    }
    let output = command
        .arg("--")
        .arg(std::env::current_exe().expect("this program"))
        .args([name, "--exact", "--nocapture", "--test-threads=1"])
        .env(INSIDE, scratch.path())
        .env("SSH_AUTH_SOCK", scratch.path().join("agent"))
        .stdin(Stdio::null())
        .output()
        .expect("unshare and setpriv are installed");
    let report = String::from_utf8_lossy(&output.stdout);
    let ran = report.contains("1 passed; 0 failed");
    assert!(ran && output.status.success(), "{report}{}", String::from_utf8_lossy(&output.stderr));
}

/// A directory with a short name: a socket's path has 107 bytes.
pub fn scratch() -> tempfile::TempDir {
    tempfile::Builder::new().prefix("qt").tempdir().expect("a directory")
}

/// The name by which the test is asked for.
fn name_of<T>(_: &T) -> &'static str {
    std::any::type_name::<T>().split_once("::").map_or("", |(_, path)| path)
}

/// Runs a program to its end and returns what it printed.
pub fn run(command: &mut Command) -> String {
    let output = command.stdin(Stdio::null()).output().unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}: {}\n{errors}", output.status);
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Asks again and again until there is an answer.
pub async fn until<T>(what: &str, mut ask: impl FnMut() -> Option<T>) -> T {
    let deadline = Instant::now() + GENEROUS;
    loop {
        if let Some(answer) = ask() {
            return answer;
        }
        assert!(Instant::now() < deadline, "{what} within {GENEROUS:?}");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
}

/// A server that lives no longer than the test, whatever ends the test.
pub struct Server {
    child: Child,
    log: PathBuf,
}

impl Server {
    /// Starts a server; what it prints goes to a file in `dir`.
    pub fn start(dir: &Path, program: impl AsRef<Path>, prepare: impl FnOnce(&mut Command)) -> Self {
        let program = program.as_ref();
        let name = program.file_name().expect("a program has a name").to_string_lossy().into_owned();
        let log =
            (0..100_u8).map(|number| dir.join(format!("{name}.{number}.log"))).find(|log| !log.exists());
        let log = log.expect("a test starts a handful");
        let file = File::create(&log).expect("a log");
        let mut command = Command::new("setpriv");
        command.args(["--pdeathsig", "KILL", "--"]).arg(program).current_dir(dir).stdin(Stdio::null());
        prepare(&mut command);
        command.stdout(file.try_clone().expect("a second handle")).stderr(file);
        let child = command.spawn().unwrap_or_else(|error| panic!("{name}: {error}"));
        Self { child, log }
    }

    /// Asks again and again until the server answers. Panics with its last words if it ends before.
    pub async fn ready<T>(&mut self, mut ask: impl FnMut() -> Option<T>) -> T {
        until(&format!("no answer; {}:", self.log.display()), || {
            let answer = ask();
            if answer.is_none()
                && let Some(status) = self.child.try_wait().expect("it is our child")
            {
                panic!("{status}: {}", self.words());
            }
            answer
        })
        .await
    }

    /// What it has printed so far.
    pub fn words(&self) -> String {
        let mut text = Vec::new();
        File::open(&self.log).and_then(|mut file| file.read_to_end(&mut text)).expect("its log");
        String::from_utf8_lossy(&text).into_owned()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        // One that has ended already is as good as killed.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Where the agent of SSH keys of this test listens; QEMU inherits the variable that says so.
pub fn ssh_agent() -> PathBuf {
    std::env::var_os("SSH_AUTH_SOCK").expect("`isolated` sets it").into()
}

/// Makes a file of zeroes.
pub fn blank(path: &Path, bytes: u64) {
    File::create(path).and_then(|file| file.set_len(bytes)).expect("a file");
}
