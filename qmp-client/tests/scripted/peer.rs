//! A peer that does as it is told.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;
use std::time::Duration;

use qmp_client::{ClientError, Options, Session};
use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};

pub const GREETING: &str = concat!(
    r#"{"QMP": {"version": {"qemu": {"micro": 13, "minor": 0, "major": 10}, "package": "x"}, "capabilities": ["oob"]}}"#,
    "\r\n"
);

/// A short deadline. Most tests run on a paused clock, where it costs no time.
pub const SHORT: Duration = Duration::from_secs(1);

/// QEMU's end of a connection.
pub struct Peer {
    pub stream: DuplexStream,
    received: Vec<u8>,
}

/// A connection whose other end is a peer. The clock should be paused.
pub fn pair() -> (DuplexStream, Peer) {
    let (ours, theirs) = tokio::io::duplex(64 << 10);
    (ours, Peer { stream: theirs, received: Vec::new() })
}

pub fn options() -> Options {
    Options { greeting: SHORT, ready: 2 * SHORT, command: 10 * SHORT, ..Options::default() }
}

/// A negotiated session and its peer.
pub async fn session() -> (Session, Peer) {
    session_with(&options()).await
}

pub async fn session_with(options: &Options) -> (Session, Peer) {
    let (ours, mut peer) = pair();
    let shake = async {
        peer.send(GREETING).await;
        peer.answer("qmp_capabilities", "{}").await;
    };
    let (session, ()) = tokio::join!(Session::negotiate(ours, options), shake);
    (session.expect("the peer negotiates"), peer)
}

impl Peer {
    pub async fn send(&mut self, text: impl AsRef<[u8]>) {
        self.stream.write_all(text.as_ref()).await.expect("the client reads");
    }

    /// Says something in two parts, which are seen apart because a paused clock only goes on when everybody waits.
    pub async fn send_in_two(&mut self, text: &[u8], cut: usize) {
        self.send(&text[..cut]).await;
        tokio::time::sleep(Duration::from_millis(1)).await;
        self.send(&text[cut..]).await;
    }

    /// The next command, whole.
    pub async fn command(&mut self) -> Value {
        loop {
            let blank = self.received.len() - self.received.trim_ascii_start().len();
            self.received.drain(..blank);
            let mut values = serde_json::Deserializer::from_slice(&self.received).into_iter::<Value>();
            if let Some(Ok(command)) = values.next() {
                let end = values.byte_offset();
                self.received.drain(..end);
                return command;
            }
            // The agent's mark is no JSON.
            if self.received.first() == Some(&0xff) {
                self.received.remove(0);
                return Value::String("mark".into());
            }
            let count = self.stream.read_buf(&mut self.received).await.expect("the client writes");
            assert!(count > 0, "the client went away");
        }
    }

    /// The next whole line that is not blank.
    pub async fn line(&mut self) -> String {
        loop {
            if let Some(end) = self.received.iter().position(|byte| *byte == b'\n') {
                let line: Vec<u8> = self.received.drain(..=end).collect();
                let line = String::from_utf8(line).unwrap().trim().to_owned();
                if !line.is_empty() {
                    return line;
                }
                continue;
            }
            let count = self.stream.read_buf(&mut self.received).await.expect("the client writes");
            assert!(count > 0, "the client went away");
        }
    }

    /// What was received behind the last command.
    pub fn unread(&self) -> String {
        String::from_utf8_lossy(&self.received).into_owned()
    }

    /// Expects a command and answers it. Returns the whole command.
    pub async fn answer(&mut self, name: &str, reply: &str) -> Value {
        let command = self.command().await;
        assert_eq!(command.get("execute").or(command.get("exec-oob")), Some(&Value::from(name)), "{command}");
        self.reply(&command, reply).await;
        command
    }

    /// Answers a command.
    pub async fn reply(&mut self, command: &Value, reply: &str) {
        self.send(with_id(&format!("\"return\": {reply}"), command)).await;
    }

    /// Answers a command with an error.
    pub async fn refuse(&mut self, command: &Value, error: &str) {
        self.send(with_id(&format!("\"error\": {error}"), command)).await;
    }

    /// Nothing more comes from the client: it has closed its end.
    pub async fn end(&mut self) {
        let mut rest = Vec::new();
        self.stream.read_to_end(&mut rest).await.expect("the client's end closes");
        self.received.extend(rest);
        assert_eq!(String::from_utf8_lossy(self.received.trim_ascii()), "");
    }
}

/// Greets on a socket and answers `qmp_capabilities`.
pub fn negotiate(socket: &mut UnixStream) {
    socket.write_all(GREETING.as_bytes()).unwrap();
    let mut bytes = [0; 200];
    let count = socket.read(&mut bytes).unwrap();
    let command: Value = serde_json::from_slice(&bytes[..count]).expect("one command, whole");
    assert_eq!(command["execute"], "qmp_capabilities");
    socket.write_all(with_id("\"return\": {}", &command).as_bytes()).unwrap();
}

/// A message in reply to a command: it has the command's id, if there is one.
pub fn with_id(members: &str, command: &Value) -> String {
    match command.get("id") {
        Some(id) => format!("{{{members}, \"id\": {id}}}\r\n"),
        None => format!("{{{members}}}\r\n"),
    }
}

/// An error with its causes, as a user sees it.
pub fn told(error: &ClientError) -> String {
    let mut text = error.to_string();
    let mut source = std::error::Error::source(error);
    while let Some(cause) = source {
        text = format!("{text}: {cause}");
        source = cause.source();
    }
    text
}
