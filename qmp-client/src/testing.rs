//! A fake QEMU for tests of programs that use this crate. It follows a script of answers and failures.
//!
//! It behaves like QEMU 10.0, including newlines and ids, and checks the commands that it receives. It does not emulate
//! a virtual machine; to learn whether QEMU really answers like that, test with QEMU.
//!
//! ```
//! use qmp_client::testing::FakeQemu;
//! use qmp_client::{ClientError, Options};
//! use qmp_proto::{Cont, QueryStatus};
//! use serde_json::json;
//!
//! # #[tokio::main(flavor = "current_thread")]
//! # async fn main() -> Result<(), Box<dyn std::error::Error>> {
//! let fake = FakeQemu::new()
//!     .reply("query-status", json!({"status": "paused", "running": false}))
//!     .refuse("cont", "GenericError", "not now")
//!     .event("STOP", json!({}))
//!     .hang_up();
//! let (session, fake) = fake.session(&Options::default()).await?;
//! let mut events = session.events();
//! assert!(!session.execute(QueryStatus {}).await?.running);
//! let refused = session.execute(Cont {}).await;
//! assert!(matches!(refused, Err(ClientError::Refused { .. })));
//! assert_eq!(events.recv().await?.event.name(), "STOP");
//! assert!(events.recv().await.is_err());
//! fake.finished().await?;
//! # Ok(())
//! # }
//! ```

use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{UnixListener, UnixStream};
use tokio::task::JoinHandle;

use crate::error::ClientError;
use crate::options::Options;
use crate::session::Session;

/// The timeout of each step of the script.
const PATIENCE: Duration = Duration::from_secs(30);

/// A step of the script.
#[derive(Clone, Debug)]
enum Step {
    /// Receives a command and answers with the member `return` or `error`.
    Answer {
        name: String,
        arguments: Option<Value>,
        member: &'static str,
        value: Value,
    },
    /// Receives a command and does not answer it.
    Ignore {
        name: String,
    },
    Event {
        name: String,
        data: Value,
    },
    /// Sends raw bytes.
    Send(Vec<u8>),
    HangUp,
}

/// A script for one connection. See the [module](self) for an example.
#[derive(Clone, Debug)]
#[must_use = "a script does nothing before `session`, `stream` or `listen`"]
pub struct FakeQemu {
    greeting: Vec<u8>,
    steps: Vec<Step>,
}

impl Default for FakeQemu {
    fn default() -> Self {
        Self::new()
    }
}

impl FakeQemu {
    /// Creates a fake QEMU 10.0 that supports out-of-band commands, with an empty script.
    pub fn new() -> Self {
        Self { greeting: Vec::new(), steps: Vec::new() }.version(10, 0, 0)
    }

    /// Sends a greeting of this version.
    pub fn version(mut self, major: u32, minor: u32, micro: u32) -> Self {
        let qemu = json!({"major": major, "minor": minor, "micro": micro});
        self.greeting =
            line(&json!({"QMP": {"version": {"qemu": qemu, "package": ""}, "capabilities": ["oob"]}}));
        self
    }

    /// Sends these bytes in place of the greeting, without a handshake.
    pub fn greet_with(mut self, bytes: impl Into<Vec<u8>>) -> Self {
        self.greeting = bytes.into();
        self
    }

    /// Expects the command `name` with any arguments, and answers `value`.
    pub fn reply(self, name: impl Into<String>, value: Value) -> Self {
        self.step(Step::Answer { name: name.into(), arguments: None, member: "return", value })
    }

    /// Expects the command `name` with these arguments, and answers `value`.
    pub fn reply_to(self, name: impl Into<String>, arguments: Value, value: Value) -> Self {
        self.step(Step::Answer { name: name.into(), arguments: Some(arguments), member: "return", value })
    }

    /// Expects the command `name` and answers with an error.
    pub fn refuse(self, name: impl Into<String>, class: &str, desc: &str) -> Self {
        let value = json!({"class": class, "desc": desc});
        self.step(Step::Answer { name: name.into(), arguments: None, member: "error", value })
    }

    /// Expects the command `name` and does not answer it.
    pub fn ignore(self, name: impl Into<String>) -> Self {
        self.step(Step::Ignore { name: name.into() })
    }

    /// Sends an event.
    pub fn event(self, name: impl Into<String>, data: Value) -> Self {
        self.step(Step::Event { name: name.into(), data })
    }

    /// Sends raw bytes, such as a partial or invalid message.
    pub fn garbage(self, bytes: impl Into<Vec<u8>>) -> Self {
        self.step(Step::Send(bytes.into()))
    }

    /// Closes the connection, like a QEMU that dies. Without this it stays open after the last step.
    pub fn hang_up(self) -> Self {
        self.step(Step::HangUp)
    }

    fn step(mut self, step: Step) -> Self {
        self.steps.push(step);
        self
    }

    /// Starts the script and connects a session with it.
    ///
    /// # Errors
    ///
    /// As [`Session::negotiate`].
    pub async fn session(self, options: &Options) -> Result<(Session, Running), ClientError> {
        let (stream, running) = self.stream().map_err(|source| ClientError::Stream { source })?;
        Ok((Session::from_unix_stream(stream, options).await?, running))
    }

    /// Runs the script at one end of a socket pair, and returns the other. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// If the socket pair cannot be created.
    pub fn stream(self) -> io::Result<(StdUnixStream, Running)> {
        let (ours, theirs) = UnixStream::pair()?;
        let task = tokio::spawn(async move { self.play(theirs).await });
        Ok((ours.into_std()?, Running { task }))
    }

    /// Listens on `path`, for code that connects by itself, and runs the script for the first client. Must be called
    /// within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// If it cannot listen there.
    pub fn listen(self, path: impl AsRef<Path>) -> io::Result<Running> {
        let listener = UnixListener::bind(path)?;
        let task = tokio::spawn(async move {
            let accepted = tokio::time::timeout(PATIENCE, listener.accept()).await;
            let (stream, _) = accepted
                .map_err(|_| Mismatch::new("nobody connected"))?
                .map_err(|error| Mismatch::new(error.to_string()))?;
            drop(listener);
            self.play(stream).await
        });
        Ok(Running { task })
    }

    async fn play(self, stream: UnixStream) -> Result<(), Mismatch> {
        let mut peer = Peer { stream, received: Vec::new() };
        peer.send(&self.greeting).await?;
        if self.greeting.starts_with(b"{\"QMP\"") {
            let command = peer.command("qmp_capabilities").await?;
            peer.answer(&command, "return", &json!({})).await?;
        }
        for step in self.steps {
            match step {
                Step::Answer { name, arguments, member, value } => {
                    let command = peer.command(&name).await?;
                    let given = command.get("arguments").cloned().unwrap_or_else(|| json!({}));
                    if let Some(expected) = arguments
                        && expected != given
                    {
                        return Err(Mismatch::new(format!(
                            "{name}: expected the arguments {expected}, got {given}"
                        )));
                    }
                    peer.answer(&command, member, &value).await?;
                }
                Step::Ignore { name } => drop(peer.command(&name).await?),
                Step::Event { name, data } => {
                    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
                    let timestamp = json!({"seconds": now.as_secs(), "microseconds": now.subsec_micros()});
                    peer.send(&line(&json!({"timestamp": timestamp, "event": name, "data": data}))).await?;
                }
                Step::Send(bytes) => peer.send(&bytes).await?,
                Step::HangUp => return Ok(()),
            }
        }
        peer.linger().await
    }
}

fn line(message: &Value) -> Vec<u8> {
    format!("{message}\r\n").into_bytes()
}

/// The fake received something other than its script expects.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the fake QEMU: {message}")]
pub struct Mismatch {
    message: String,
}

impl Mismatch {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into() }
    }
}

/// A running script. Dropping it does not stop the script.
#[derive(Debug)]
pub struct Running {
    task: JoinHandle<Result<(), Mismatch>>,
}

impl Running {
    /// Waits until the script has ended and, unless it hangs up by itself, the client has disconnected; so drop the
    /// session first.
    ///
    /// # Errors
    ///
    /// [`Mismatch`] if a command was not the expected one, there were too many, or one was not received within 30 s.
    pub async fn finished(self) -> Result<(), Mismatch> {
        self.task.await.unwrap_or_else(|error| Err(Mismatch::new(error.to_string())))
    }
}

/// A fake's end of the connection.
struct Peer {
    stream: UnixStream,
    received: Vec<u8>,
}

impl Peer {
    async fn send(&mut self, bytes: &[u8]) -> Result<(), Mismatch> {
        self.stream
            .write_all(bytes)
            .await
            .map_err(|error| Mismatch::new(format!("the client does not listen: {error}")))
    }

    async fn answer(&mut self, command: &Value, member: &str, value: &Value) -> Result<(), Mismatch> {
        // The reply has an id only if the command had one, and QEMU writes it last.
        let id = command.get("id").map(|id| format!(", \"id\": {id}")).unwrap_or_default();
        self.send(format!("{{\"{member}\": {value}{id}}}\r\n").as_bytes()).await
    }

    /// Receives the next command, which should be `name`.
    async fn command(&mut self, name: &str) -> Result<Value, Mismatch> {
        let next = tokio::time::timeout(PATIENCE, self.next()).await;
        let command = next.map_err(|_| Mismatch::new(format!("{name} did not come")))?;
        let command = command?.ok_or_else(|| Mismatch::new(format!("the client went away before {name}")))?;
        let given = command.get("execute").or_else(|| command.get("exec-oob"));
        if given.is_none_or(|given| given != name) {
            return Err(Mismatch::new(format!("expected {name}, got {command}")));
        }
        Ok(command)
    }

    /// Receives the next message. Returns `None` if the client has disconnected.
    async fn next(&mut self) -> Result<Option<Value>, Mismatch> {
        loop {
            let mut values = serde_json::Deserializer::from_slice(&self.received).into_iter::<Value>();
            match values.next() {
                Some(Ok(value)) => {
                    let end = values.byte_offset();
                    self.received.drain(..end);
                    return Ok(Some(value));
                }
                Some(Err(error)) if !error.is_eof() => {
                    return Err(Mismatch::new(format!("no JSON was sent: {error}")));
                }
                _ => {}
            }
            match self.stream.read_buf(&mut self.received).await {
                Ok(1..) => {}
                Ok(0) | Err(_) => return Ok(None),
            }
        }
    }

    /// Waits until the client disconnects; it must not send anything more.
    async fn linger(&mut self) -> Result<(), Mismatch> {
        match self.next().await? {
            None => Ok(()),
            Some(command) => Err(Mismatch::new(format!("the script is over, and the client sent {command}"))),
        }
    }
}
