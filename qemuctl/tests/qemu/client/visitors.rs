//! Clients of one monitor that come, ask and leave: some with their answer, others at any byte.

use std::io;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use qmp_client::{ClientError, Options, OutOfBand, Session};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::UnixStream;

use crate::support::qemu;

/// Far beyond what anything here takes, so that only a hang reaches it.
const LONG: Duration = Duration::from_secs(60);

/// When a monitor that greets and does not answer is taken for one that QEMU 10.0 has lost: some time in some ten thousand
/// visits that break off, it stops reading from a client it has accepted, for good.
const STUCK: Duration = Duration::from_secs(10);

/// What a visitor says of whom nothing is left but what QEMU has read: commands with and without ids, a long answer, and
/// what an unfinished command may leave in a parser.
const SAYINGS: [&[u8]; 12] = [
    br#"{"execute":"query-status"}"#,
    br#"{"execute":"query-status","id":0}"#,
    br#"{"execute":"query-name","id":"mine"}"#,
    br#"{"execute":"query-qmp-schema"}"#,
    br#"{"execute":"query-qmp-schema","id":1}"#,
    br#"{"execute":"device_del","arguments":{"id":"left behind"}}"#,
    br#"{"execute":"query-command-line-options","arguments":{"option":"rtc"}}"#,
    br#"{"execute":"no-such-command","id":2}"#,
    br#"{"exec-oob":"query-yank","id":3}"#,
    b"{\"execute\":\"half a",
    b"{\"execute\":\"x\",\"arguments\":{\"a\":[[[\"\\u12",
    b"\xff{",
];

/// Numbers that are the same in each run.
pub struct Random(u64);

impl Random {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    /// A number below `end`.
    pub fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        usize::try_from(self.0 >> 33).expect("31 bits") % end
    }
}

/// A QEMU without a machine, whose monitor is a socket that anybody may connect to.
pub struct Monitor {
    child: Child,
    directory: tempfile::TempDir,
}

impl Monitor {
    pub async fn start(version: &str) -> Self {
        let directory = tempfile::tempdir().expect("a temporary folder");
        let path = directory.path().join("qmp.sock");
        let child = Command::new(qemu(version, "qemu-system-x86_64"))
            .args(["-nodefaults", "-display", "none", "-S", "-machine", "none", "-qmp"])
            .arg(format!("unix:{},server=on,wait=off", path.display()))
            .stdin(Stdio::null())
            .spawn()
            .expect("QEMU starts");
        let monitor = Self { child, directory };
        drop(connect(&monitor.path()).await);
        monitor
    }

    pub fn path(&self) -> PathBuf {
        self.directory.path().join("qmp.sock")
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        self.child.wait().expect("QEMU can be waited for");
    }
}

/// Tries again while QEMU is starting, and while its queue is full.
async fn again<T, E: std::fmt::Debug, F: Future<Output = Result<T, E>>>(
    what: impl Fn() -> F,
    is_passing: impl Fn(&E) -> bool,
) -> T {
    let tries = async {
        loop {
            match what().await {
                Ok(value) => return value,
                Err(error) if is_passing(&error) => tokio::time::sleep(Duration::from_millis(1)).await,
                Err(error) => panic!("{error:?}"),
            }
        }
    };
    tokio::time::timeout(LONG, tries).await.expect("it is let in")
}

fn is_full(error: &io::Error) -> bool {
    use io::ErrorKind::{ConnectionRefused, NotFound, WouldBlock};
    matches!(error.kind(), WouldBlock | ConnectionRefused | NotFound)
}

async fn connect(path: &Path) -> UnixStream {
    again(|| UnixStream::connect(path), is_full).await
}

async fn session(path: &Path, oob: OutOfBand) -> Session {
    let options =
        Options { connect: LONG, greeting: LONG, ready: STUCK, command: LONG, oob, ..Options::default() };
    let is_passing =
        |error: &ClientError| matches!(error, ClientError::Busy { .. } | ClientError::NotReady { .. });
    again(|| Session::connect(path, &options), is_passing).await
}

/// Waits for its turn, says `words` and leaves.
pub async fn say_and_leave(path: &Path, words: &[u8]) {
    let mut stream = connect(path).await;
    let mut greeting = Vec::new();
    while !greeting.ends_with(b"\n") {
        let count = tokio::time::timeout(LONG, stream.read_buf(&mut greeting)).await.expect("in time");
        assert!(count.expect("QEMU goes on") > 0);
    }
    stream.write_all(words).await.expect("QEMU listens");
}

/// Breaks off at a random byte: before its turn, in a command, or in an answer.
pub async fn break_off(path: &Path, random: &mut Random) {
    if random.below(4) == 0 {
        // With this client: it leaves while its command is on its way.
        let session = session(path, OutOfBand::Auto).await;
        let patience = Duration::from_micros(random.below(600) as u64);
        let command = if random.below(2) == 0 { "query-qmp-schema" } else { "query-status" };
        let _ = tokio::time::timeout(patience, session.execute_raw(command, None)).await;
        return;
    }
    let mut stream = connect(path).await;
    let mut words = match random.below(4) {
        0 => Vec::new(),
        1 => br#"{"execute":"qmp_capabilities","arguments":{"enable":["oob"]}}"#.to_vec(),
        2 => br#"{"execute":"qmp_capabilities","id":0}"#.to_vec(),
        _ => br#"{"execute":"qmp_capabilities"}"#.to_vec(),
    };
    // QEMU (7.2 and 11.1) was seen to abort when eight commands wait and their client goes away: no client of this crate sends so many.
    for _ in 0..random.below(6) {
        words.extend_from_slice(SAYINGS[random.below(SAYINGS.len())]);
    }
    words.truncate(random.below(words.len() + 1));
    let mut heard = vec![0; 1 + random.below(1000)];
    // Some wait for their turn, some listen for a while; none minds when QEMU does not listen any more.
    if random.below(2) == 0 {
        let _ = tokio::time::timeout(LONG, stream.read(&mut heard)).await.expect("its turn comes");
    }
    let _ = tokio::time::timeout(Duration::from_millis(20), stream.write_all(&words)).await;
    if random.below(2) == 0 {
        let patience = Duration::from_micros(random.below(1000) as u64);
        let _ = tokio::time::timeout(patience, stream.read_exact(&mut heard)).await;
    }
}

/// Asks what nobody else asks, and looks whether the answers belong to the questions.
pub async fn ask(path: &Path, name: &str, random: &mut Random) {
    let oob = if random.below(2) == 0 { OutOfBand::Auto } else { OutOfBand::Off };
    let session = session(path, oob).await;
    for number in 0..=random.below(4) {
        let object = format!("{name}-{number}");
        let (command, arguments) = match random.below(2) {
            0 => ("device_del", json!({ "id": object })),
            _ => ("qom-get", json!({ "path": format!("/{object}"), "property": "type" })),
        };
        let option = ["rtc", "name", "msg", "smp-opts"][random.below(4)];
        let question = json!({ "option": option });
        let (refused, options) = tokio::join!(
            session.execute_raw(command, Some(arguments)),
            session.execute_raw("query-command-line-options", Some(question)),
        );
        let refused = refused.expect_err("there is no such thing").to_string();
        assert!(refused.starts_with(command) && refused.contains(&object), "{object}: {refused}");
        assert_eq!(options.expect("known")[0]["option"], Value::from(option), "{object}");
    }
}

/// Lets `count` visitors break off at the monitors of one socket, four at a time, with others between them who ask.
pub async fn storm(socket: &Path, count: usize) {
    const AT_ONCE: usize = 4;
    let tasks: Vec<_> = (0..AT_ONCE)
        .map(|task| {
            let path = socket.to_owned();
            tokio::spawn(async move {
                let mut random = Random::new(task as u64 + 1);
                for number in 0..count / AT_ONCE {
                    break_off(&path, &mut random).await;
                    if random.below(4) == 0 {
                        ask(&path, &format!("v{task}-{number}"), &mut random).await;
                    }
                }
            })
        })
        .collect();
    for task in tasks {
        task.await.expect("no panic");
    }
    for number in 0..10 {
        ask(socket, &format!("last-{number}"), &mut Random::new(number)).await;
    }
}
