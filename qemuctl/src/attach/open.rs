//! Opens a session with a monitor of a VM.
//!
//! A VM of this library has many monitors behind one socket, and any of them may take a connection. One that another client
//! left in the middle of a message sometimes greets and then never reads again (QEMU 10.0), so a second connection is tried
//! beside one that does not answer soon; the first that answers is used.

use std::future::poll_fn;
use std::io;
use std::path::{Path, PathBuf};
use std::task::Poll;
use std::time::Duration;

use nix::sys::socket::getsockopt;
use nix::sys::socket::sockopt::PeerCredentials;
use qemu_discovery::process::is_stopped;
use qmp_client::{ClientError, Events, Options, Session};
use qmp_proto::QueryName;
use tokio::net::UnixStream;
use tokio::time::{Instant, sleep};

use crate::error::Error;
use crate::runtime::Record;

/// How long to wait before the next attempt to connect to a socket that does not accept connections just now.
const TRY_AGAIN: Duration = Duration::from_millis(10);

/// How long a monitor may take to answer before another one is tried beside it. A QEMU that is only busy answers both.
const ANOTHER: Duration = Duration::from_secs(2);

/// How many monitors are tried.
const ATTEMPTS: usize = 3;

/// A session whose VM has answered.
#[derive(Debug)]
pub(super) struct Opened {
    pub(super) session: Session,
    /// The process that called `listen`. None where that is hidden, as behind a container's wall.
    pub(super) peer: Option<u32>,
    /// All events since the session began.
    pub(super) events: Events,
    /// The VM's name, if it has one.
    pub(super) name: Option<String>,
}

/// Opens a session at `socket`, whose VM has written down `record`, if any.
pub(super) async fn open(socket: &Path, options: &Options, record: Option<&Record>) -> Result<Opened, Error> {
    let beside = |socket: &Path| Record::read(socket.parent()?, &stem(socket)).ok()?;
    let attempts = if record.is_some() || beside(socket).is_some() { ATTEMPTS } else { 1 };
    let deadline = Instant::now() + options.greeting;
    let attempt = || attempt(socket.to_owned(), options.clone(), record.cloned(), deadline);
    first_of(attempts, ANOTHER, attempt).await
}

/// Starts an attempt, and another one beside it each time that none was over for `pause`, up to `attempts`. Returns the first
/// success, or the first error if there is none.
async fn first_of<T, E, F: Future<Output = Result<T, E>>>(
    attempts: usize,
    pause: Duration,
    mut attempt: impl FnMut() -> F,
) -> Result<T, E> {
    let mut running = vec![Box::pin(attempt())];
    let (mut started, mut failure) = (1, None);
    loop {
        let over = poll_fn(|context| {
            let mut attempts = running.iter_mut().enumerate();
            let over = attempts.find_map(|(index, attempt)| match attempt.as_mut().poll(context) {
                Poll::Ready(result) => Some((index, result)),
                Poll::Pending => None,
            });
            over.map_or(Poll::Pending, Poll::Ready)
        });
        tokio::select! {
            biased;
            (index, result) = over => {
                drop(running.swap_remove(index));
                let error = match result {
                    Ok(opened) => return Ok(opened),
                    Err(error) => failure.take().unwrap_or(error),
                };
                if running.is_empty() {
                    return Err(error);
                }
                // Others may still answer.
                failure = Some(error);
            }
            () = sleep(pause), if started < attempts => {
                running.push(Box::pin(attempt()));
                started += 1;
            }
        }
    }
}

/// Connects and asks for the VM's name; QEMU has to greet until `deadline`.
async fn attempt(
    socket: PathBuf,
    options: Options,
    record: Option<Record>,
    deadline: Instant,
) -> Result<Opened, Error> {
    let stream = connect(&socket, deadline, record.as_ref()).await?;
    let peer = getsockopt(&stream, PeerCredentials).ok().and_then(|peer| u32::try_from(peer.pid()).ok());
    let fail = |source| failure(&socket, peer, source);
    let stream =
        stream.into_std().map_err(|source| fail(ClientError::Connect { path: socket.clone(), source }))?;
    let left = deadline.saturating_duration_since(Instant::now());
    let options = Options { greeting: left, ..options };
    let session = Session::from_unix_stream(stream, &options).await.map_err(fail)?;
    let events = session.events();
    let name = session.execute(QueryName {}).await.map_err(fail)?.name;
    Ok(Opened { session, peer, events, name })
}

/// What a VM is called whose socket is there, unless it says otherwise.
pub(super) fn stem(socket: &Path) -> String {
    socket.file_stem().unwrap_or_default().to_string_lossy().into_owned()
}

/// What an error of the session at `socket` means, whose listener is the process `peer`.
pub(super) fn failure(socket: &Path, peer: Option<u32>, error: ClientError) -> Error {
    let socket = socket.to_owned();
    match error {
        ClientError::Busy { .. } | ClientError::NoGreeting { .. } if !peer.is_some_and(is_stopped) => {
            Error::Busy { socket }
        }
        ClientError::NoGreeting { .. } | ClientError::NotReady { .. } | ClientError::Timeout { .. } => {
            Error::Unresponsive { socket }
        }
        source => Error::Attach { socket, source },
    }
}

/// Connects to a monitor's socket. If too many wait there already, or if the QEMU of `record` does not listen yet, it
/// tries again until the deadline.
async fn connect(socket: &Path, deadline: Instant, record: Option<&Record>) -> Result<UnixStream, Error> {
    loop {
        let error = match UnixStream::connect(socket).await {
            Ok(stream) => return Ok(stream),
            Err(error) => error,
        };
        let late = Instant::now() >= deadline;
        match error.kind() {
            io::ErrorKind::WouldBlock if late => {
                let stopped = record.is_some_and(|record| is_stopped(record.pid));
                let socket = socket.to_owned();
                return Err(if stopped { Error::Unresponsive { socket } } else { Error::Busy { socket } });
            }
            io::ErrorKind::WouldBlock => {}
            io::ErrorKind::ConnectionRefused | io::ErrorKind::NotFound
                if !late && record.is_some_and(Record::is_alive) => {}
            _ => {
                let source = ClientError::Connect { path: socket.to_owned(), source: error };
                return Err(Error::Attach { socket: socket.to_owned(), source });
            }
        }
        sleep(TRY_AGAIN).await;
    }
}

#[cfg(test)]
mod tests {
    use std::future::pending;

    use super::*;

    /// Runs attempts of which each ends as is said, or never.
    async fn run(each: [Option<Result<u8, u8>>; 3]) -> Result<u8, u8> {
        let mut each = each.into_iter();
        let attempts = first_of(3, Duration::from_millis(10), || {
            let outcome = each.next().expect("three attempts at most");
            async move {
                match outcome {
                    Some(outcome) => outcome,
                    None => pending().await,
                }
            }
        });
        tokio::time::timeout(Duration::from_secs(60), attempts).await.expect("no end")
    }

    #[tokio::test]
    async fn another_monitor_answers_in_place_of_one_that_does_not() {
        assert_eq!(run([Some(Ok(1)), None, None]).await, Ok(1));
        assert_eq!(run([None, Some(Ok(2)), None]).await, Ok(2));
        assert_eq!(run([None, None, Some(Ok(3))]).await, Ok(3));
        assert_eq!(run([None, Some(Err(2)), Some(Ok(3))]).await, Ok(3));
        assert_eq!(run([Some(Err(1)), None, None]).await, Err(1), "nothing else was begun");
    }
}
