//! The connection to a guest's agent, shared by several programs.
//!
//! QEMU serves one client at a time. So the connection is used in turns: a program with a request takes a turn,
//! connects, synchronizes with the agent, sends the request, and disconnects when it has no more requests or others are
//! waiting. The [`Agent`](qmp_client::agent::Agent) on top sees one connection that lasts as long as the VM.

use std::io;
use std::path::PathBuf;
use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use qmp_client::Session;
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream, ReadHalf, WriteHalf, duplex, split};
use tokio::net::UnixStream;
use tokio::sync::watch;
use tokio::time::{Instant, sleep};

use super::evict::evict;
use super::turn::Turn;
use crate::supervise::Exit;
use qemu_discovery::process::is_stopped;

/// How long an idle connection is kept if nobody else wants it. An agent takes up to 100 ms to notice a new connection,
/// so consecutive commands share one. It is not kept longer, because a process that is stopped, for example by Ctrl-Z,
/// keeps its connection.
const IDLE: Duration = Duration::from_millis(60);
/// How often to check whether somebody else wants the connection.
const LOOK: Duration = Duration::from_millis(20);
/// How long the connection is kept while others wait for it.
const SHARE: Duration = Duration::from_millis(200);
/// How long to wait after disconnecting, so that others get their turn.
const STAND_BACK: Duration = Duration::from_millis(40);
/// How long others have to wait while an agent does not synchronize, since it may not be running. Long enough for a
/// busy host, because otherwise all would give up in turn and start again.
const IN_STEP: Duration = Duration::from_secs(5);
/// How long others have to wait for the reply to a command, such as that to freeze file systems.
const ANSWERS: Duration = Duration::from_secs(60);
/// The same for a command that is answered only if it was rejected.
const REFUSES: Duration = Duration::from_secs(3);
/// How long a process may be stopped before its connection is closed.
const STOPPED: Duration = Duration::from_millis(300);
/// How long the last request may take if nobody waits for it.
const LAST: Duration = Duration::from_secs(2);
/// The most bytes in transit.
const BUFFER: usize = 64 << 10;
/// The byte that resets the agent's parser, and precedes the reply to that.
const MARK: u8 = 0xff;

/// The status of a connection for its users.
#[derive(Debug, Default)]
pub(crate) struct LineState(AtomicU32);

impl LineState {
    /// The process that holds the connection while this one waits for it.
    pub(crate) fn held_by(&self) -> Option<u32> {
        Some(self.0.load(Ordering::Relaxed)).filter(|&pid| pid != 0)
    }
}

/// The character device of a connection, and a session that can make QEMU replace its socket.
pub(crate) struct Device {
    pub(crate) session: Session,
    pub(crate) chardev: String,
}

/// Opens the connection at `socket`. It ends with the VM.
pub(crate) fn open_line(
    socket: PathBuf,
    device: Option<Device>,
    mut exits: watch::Receiver<Option<Exit>>,
) -> (DuplexStream, Arc<LineState>) {
    let (near, far) = duplex(BUFFER);
    let state = Arc::new(LineState::default());
    let told = state.clone();
    tokio::spawn(async move {
        let ended = async {
            if exits.wait_for(Option::is_some).await.is_err() {
                // The VM is not supervised any more, so the end of the connection is taken for its end.
                std::future::pending::<()>().await;
            }
        };
        tokio::select! {
            // An error ends the connection, which the agent above learns.
            _ = serve(far, Place { socket, device }, &told) => {}
            () = ended => {}
        }
    });
    (near, state)
}

/// The sequence of requests.
struct Requests {
    reader: ReadHalf<DuplexStream>,
    read: Vec<u8>,
    frame: Frame,
}

impl Requests {
    /// Returns the next request. Returns `None` some time after the last user has gone, so that the last request can be
    /// carried out.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    async fn newer(&mut self) -> Option<Vec<u8>> {
        let next = self.next().await;
        if next.is_none() {
            sleep(LAST).await;
        }
        next
    }

    /// Returns the next request, or `None` if there are no more users.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    async fn next(&mut self) -> Option<Vec<u8>> {
        loop {
            if let Some(end) = self.frame.find_end(&self.read) {
                let rest = self.read.split_off(end);
                self.frame = Frame::default();
                let read = std::mem::replace(&mut self.read, rest);
                // A newline may follow a request.
                let mut request = read.trim_ascii_start().to_vec();
                request.push(b'\n');
                return Some(request);
            }
            if !matches!(self.reader.read_buf(&mut self.read).await, Ok(1..)) {
                return None;
            }
        }
    }
}

/// The position within a JSON object.
#[derive(Default)]
struct Frame {
    seen: usize,
    depth: usize,
    in_text: bool,
    escaped: bool,
}

impl Frame {
    /// Scans up to the end of the object, if that has arrived.
    fn find_end(&mut self, bytes: &[u8]) -> Option<usize> {
        while let Some(&byte) = bytes.get(self.seen) {
            self.seen += 1;
            match byte {
                _ if self.escaped => self.escaped = false,
                b'\\' if self.in_text => self.escaped = true,
                b'"' if self.depth > 0 => self.in_text = !self.in_text,
                _ if self.in_text => {}
                b'{' => self.depth += 1,
                b'}' => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        return Some(self.seen);
                    }
                }
                _ => {}
            }
        }
        None
    }
}

/// The connection during our turn.
struct Held {
    stream: UnixStream,
    turn: Turn,
    since: Instant,
    in_step: bool,
}

/// Whether the request was sent, and since when.
struct Stage(Mutex<(bool, Instant)>);

impl Stage {
    fn new() -> Self {
        Self(Mutex::new((false, Instant::now())))
    }

    fn is_asked(&self) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner) = (true, Instant::now());
    }

    fn get(&self) -> (bool, Instant) {
        *self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

async fn serve(line: DuplexStream, place: Place, state: &LineState) -> io::Result<()> {
    let (reader, mut replies) = split(line);
    let mut requests = Requests { reader, read: Vec::new(), frame: Frame::default() };
    let mut held: Option<Held> = None;
    loop {
        let next = match &held {
            Some(line) => tokio::select! {
                next = requests.next() => next,
                () = is_idle(&line.turn) => {
                    held = None;
                    continue;
                }
            },
            None => requests.next().await,
        };
        let Some(mut request) = next else { return Ok(()) };
        // Until the reply arrives, or the caller has given up and sends another request.
        loop {
            let mut stand_back = Duration::ZERO;
            if held.as_ref().is_some_and(|held| held.since.elapsed() >= SHARE && held.turn.is_wanted()) {
                held = None;
                stand_back = STAND_BACK;
            }
            let mut line = if let Some(line) = held.take() {
                line
            } else {
                tokio::select! {
                    line = take(&place, stand_back, state) => line?,
                    newer = requests.newer() => match newer {
                        // The previous request was not sent, and its caller has given up.
                        Some(newer) => {
                            request = newer;
                            continue;
                        }
                        None => return Ok(()),
                    },
                }
            };
            let gets_in_step = request.first() == Some(&MARK);
            let progress = Stage::new();
            let done = {
                let Held { stream, turn, in_step, .. } = &mut line;
                tokio::select! {
                    done = exchange(stream, in_step, &request, &progress, &mut replies) => {
                        if done? { Done::Answered } else { Done::TakenAway }
                    }
                    newer = requests.newer() => match newer {
                        Some(newer) => {
                            // The byte at its beginning discards what was sent of the previous one.
                            *in_step = false;
                            Done::Replaced(newer)
                        }
                        None => return Ok(()),
                    },
                    () = keeps_others_waiting(turn, &progress, &request) => Done::GivenUp,
                }
            };
            match done {
                Done::Answered => {
                    held = Some(line);
                    break;
                }
                Done::Replaced(newer) => {
                    request = newer;
                    held = Some(line);
                }
                // No request is pending: this process was stopped during its turn, and another one has taken over.
                Done::TakenAway => {
                    drop(line);
                    sleep(STAND_BACK).await;
                }
                Done::GivenUp => {
                    drop(line);
                    if progress.get().0 && !gets_in_step {
                        // The caller has a deadline.
                        break;
                    }
                    sleep(STAND_BACK).await;
                }
            }
        }
    }
}

/// The outcome of a request.
enum Done {
    Answered,
    TakenAway,
    Replaced(Vec<u8>),
    GivenUp,
}

/// The location of the socket.
struct Place {
    socket: PathBuf,
    device: Option<Device>,
}

/// Takes a turn and connects.
async fn take(place: &Place, stand_back: Duration, state: &LineState) -> io::Result<Held> {
    sleep(stand_back).await;
    let socket = &place.socket;
    let turn = loop {
        let told = |holder: Option<u32>| state.0.store(holder.unwrap_or(0), Ordering::Relaxed);
        tokio::select! {
            turn = Turn::take(socket, told) => break turn?,
            device = held_by_stopped(place, state) => {
                // If the client cannot be disconnected, keep waiting; the caller has a deadline.
                let _ = evict(&device.session, &device.chardev, socket).await;
            }
        }
    };
    let stream = loop {
        match UnixStream::connect(socket).await {
            Ok(stream) => break stream,
            // A client that does not take turns is connected.
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => sleep(LOOK).await,
            Err(error) => return Err(error),
        }
    };
    Ok(Held { stream, turn, since: Instant::now(), in_step: false })
}

/// Waits until a stopped process has held the connection for a while.
async fn held_by_stopped<'p>(place: &'p Place, state: &LineState) -> &'p Device {
    let mut seen = None;
    loop {
        sleep(STOPPED).await;
        let holder = state.held_by().filter(|&pid| is_stopped(pid));
        match &place.device {
            Some(device) if holder.is_some() && holder == seen => return device,
            _ => seen = holder,
        }
    }
}

/// Sends a request and passes on the reply. Returns false if QEMU had closed the connection before.
async fn exchange(
    stream: &mut UnixStream,
    in_step: &mut bool,
    request: &[u8],
    stage: &Stage,
    replies: &mut WriteHalf<DuplexStream>,
) -> io::Result<bool> {
    let closed =
        |error: &io::Error| matches!(error.kind(), io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof);
    let gets_in_step = request.first() == Some(&MARK);
    if !gets_in_step && !*in_step {
        match get_in_step(stream).await {
            Err(error) if closed(&error) => return Ok(false),
            stepped => stepped?,
        }
    }
    *in_step = true;
    stage.is_asked();
    match stream.write_all(request).await {
        Err(error) if closed(&error) => return Ok(false),
        written => written?,
    }
    let mut marked = !gets_in_step;
    let mut buffer = vec![0; BUFFER];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        let bytes = &buffer[..count];
        replies.write_all(bytes).await?;
        // The reply to a request with the reset byte starts after that byte.
        let from = if gets_in_step { bytes.iter().rposition(|&byte| byte == MARK) } else { None };
        marked |= from.is_some();
        if marked && bytes[from.unwrap_or(0)..].contains(&b'\n') {
            return Ok(true);
        }
    }
}

/// Discards what earlier users left behind in either direction: a partial command, or unread replies.
async fn get_in_step(stream: &mut UnixStream) -> io::Result<()> {
    use std::hash::{BuildHasher, Hasher};
    // Must differ from the ids of other users; JSON numbers are exact up to 53 bits.
    let number = std::hash::RandomState::new().build_hasher().finish() >> 11;
    let mut request = vec![MARK];
    let text = format!("{{\"execute\":\"guest-sync-delimited\",\"arguments\":{{\"id\":{number}}}}}\n");
    request.extend_from_slice(text.as_bytes());
    stream.write_all(&request).await?;
    let mut line = Vec::new();
    let mut buffer = [0; 4096];
    loop {
        let count = stream.read(&mut buffer).await?;
        if count == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        for &byte in &buffer[..count] {
            match byte {
                MARK => line.clear(),
                b'\n' if is_reply(&line, number) => return Ok(()),
                b'\n' => line.clear(),
                // A reply to another user's request may be long, and is discarded.
                _ if line.len() < 256 => line.push(byte),
                _ => {}
            }
        }
    }
}

fn is_reply(line: &[u8], number: u64) -> bool {
    let reply: Option<serde_json::Value> = serde_json::from_slice(line).ok();
    reply.is_some_and(|reply| reply["return"].as_u64() == Some(number))
}

/// Waits until an idle connection has to be closed.
async fn is_idle(turn: &Turn) {
    let begin = Instant::now();
    loop {
        sleep(LOOK).await;
        if turn.is_wanted() || begin.elapsed() >= IDLE {
            return;
        }
    }
}

/// Waits until a request has kept others waiting for too long.
async fn keeps_others_waiting(turn: &Turn, stage: &Stage, request: &[u8]) {
    let mut pause = Duration::from_millis(50);
    // Such commands are answered only if the agent rejects them.
    let unanswered = [&b"\"guest-shutdown\""[..], b"\"guest-suspend-"];
    let start = &request[..request.len().min(64)];
    let unanswered = unanswered.iter().any(|name| start.windows(name.len()).any(|part| part == *name));
    loop {
        sleep(pause).await;
        // An idle connection does not last long.
        pause = (pause * 2).min(Duration::from_millis(500));
        let (asked, since) = stage.get();
        let limit = if !asked || request.first() == Some(&MARK) {
            IN_STEP
        } else if unanswered {
            REFUSES
        } else {
            ANSWERS
        };
        if since.elapsed() >= limit && (turn.is_wanted() || (asked && unanswered)) {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_told_apart_wherever_they_are_cut() {
        let requests: [&[u8]; 3] = [
            b"\xff{\"execute\":\"guest-sync-delimited\",\"arguments\":{\"id\":7}}",
            br#"{"execute":"guest-exec","arguments":{"path":"a\"}{\\","arg":["{"]}}"#,
            b"\n{}",
        ];
        for cut in 0..requests.concat().len() {
            let mut read = requests.concat();
            let mut later = read.split_off(cut);
            let (mut frame, mut found) = (Frame::default(), Vec::new());
            loop {
                match frame.find_end(&read) {
                    Some(end) => {
                        let rest = read.split_off(end);
                        found.push(std::mem::replace(&mut read, rest));
                        frame = Frame::default();
                    }
                    None if later.is_empty() => break,
                    None => read.append(&mut later),
                }
            }
            assert_eq!(found, requests, "cut at {cut}");
        }
    }

    #[test]
    fn only_the_reply_with_our_number_gets_in_step() {
        assert!(is_reply(b"{\"return\": 42}", 42));
        assert!(!is_reply(b"{\"return\": 43}", 42));
        assert!(!is_reply(b"{\"error\": {\"class\": \"GenericError\", \"desc\": \"42\"}}", 42));
        assert!(!is_reply(b"rn\": 42}", 42));
    }
}
