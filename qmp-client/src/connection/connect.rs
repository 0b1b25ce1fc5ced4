//! From a path to a connected socket, and from a connected stream to a negotiated one.

use std::borrow::Cow;
use std::future::poll_fn;
use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::time::Duration;

use tokio::net::UnixStream;

use crate::connection::driver::{self, Reader};
use crate::connection::handshake::{Failure, Handshake, Step, unique_id};
use crate::connection::shared::Writer;
use crate::error::{ClientError, CloseReason};
use crate::options::{LineEnds, Options};
use crate::wire::framing::{Framer, TooLong, preview};
use crate::wire::message::{Greeting, Message};

/// Connects to the socket at `path`.
pub(crate) async fn connect(path: &Path, options: &Options) -> Result<StdUnixStream, ClientError> {
    let failed = |source: io::Error| {
        let path = path.to_owned();
        if source.kind() == io::ErrorKind::WouldBlock {
            ClientError::Busy { path }
        } else {
            ClientError::Connect { path, source }
        }
    };
    let stream = tokio::time::timeout(options.connect, UnixStream::connect(path))
        .await
        .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
        .map_err(failed)?;
    stream.into_std().map_err(|source| ClientError::Stream { source })
}

/// How long a peer that needs no line ends takes to answer the first command, unless it is busy.
const SOON: Duration = Duration::from_millis(100);

/// Waits for the greeting and negotiates. Also tells whether commands are to end with a line end.
pub(crate) async fn shake_hands(
    reader: &mut Reader,
    writer: &mut Writer,
    framer: &mut Framer,
    options: &Options,
) -> Result<(Greeting, bool, bool), ClientError> {
    let mut handshake = Handshake::new(options.oob, unique_id());
    let mut tail = None;
    let greeting = advance(&mut handshake, reader, writer, framer, &mut tail);
    let outcome = match tokio::time::timeout(options.greeting, greeting).await {
        Ok(outcome) => outcome?,
        Err(_) => {
            return Err(match tail {
                Some(began) => ClientError::NotQmp { began },
                None => ClientError::NoGreeting { after: options.greeting },
            });
        }
    };
    let mut line_ends = options.line_ends == LineEnds::Always;
    if let Some((greeting, oob)) = outcome {
        return Ok((greeting, oob, line_ends));
    }
    tokio::time::timeout(options.ready, async {
        let mut asked = options.line_ends != LineEnds::Auto;
        loop {
            if line_ends {
                let ended = writer.write_all(b"\n").await;
                ended.map_err(|error| closed("qmp_capabilities", CloseReason::from_io(&error)))?;
            }
            let reply = advance(&mut handshake, reader, writer, framer, &mut tail);
            let reply = if asked { Ok(reply.await) } else { tokio::time::timeout(SOON, reply).await };
            asked = true;
            let Ok(reply) = reply else {
                line_ends = true;
                continue;
            };
            if let Some((greeting, oob)) = reply? {
                return Ok((greeting, oob, line_ends));
            }
        }
    })
    .await
    .map_err(|_| ClientError::NotReady { after: options.ready })?
}

fn closed(doing: &'static str, source: CloseReason) -> ClientError {
    ClientError::Closed { doing: Cow::Borrowed(doing), source }
}

/// Goes on with a handshake until it is over, or until the greeting was answered. `tail` takes what may be the end of a
/// reply of which another client got the beginning.
async fn advance(
    handshake: &mut Handshake,
    reader: &mut Reader,
    writer: &mut Writer,
    framer: &mut Framer,
    tail: &mut Option<String>,
) -> Result<Option<(Greeting, bool)>, ClientError> {
    loop {
        let doing = if handshake.greeted() { "qmp_capabilities" } else { "waiting for the greeting" };
        let closed = |source| closed(doing, source);
        let on_io = |error: io::Error| closed(CloseReason::from_io(&error));
        let line = match framer.next_line() {
            Ok(Some(line)) => framer.bytes(line),
            Ok(None) => {
                let read = poll_fn(|context| driver::poll_receive(reader, context, framer)).await;
                if read.map_err(on_io)? == 0 {
                    return Err(closed(match framer.pending() {
                        0 => CloseReason::Eof,
                        received => CloseReason::Truncated { received },
                    }));
                }
                continue;
            }
            Err(TooLong(limit)) => return Err(closed(CloseReason::TooLong { limit })),
        };
        let message = match Message::parse(line) {
            Ok(message) => message,
            Err(_) if tail.is_none() && !handshake.greeted() && line.ends_with(b"}") => {
                *tail = Some(preview(line));
                continue;
            }
            Err(_) => return Err(ClientError::NotQmp { began: preview(line) }),
        };
        match handshake.on_message(message) {
            Step::Wait => {}
            Step::Send(command) => {
                writer.write_all(command.as_bytes()).await.map_err(on_io)?;
                return Ok(None);
            }
            Step::Ready { greeting, oob } => return Ok(Some((greeting, oob))),
            Step::Failed(Failure::NoOutOfBand) => return Err(ClientError::NoOutOfBand),
            Step::Failed(Failure::Refused(refusal)) => {
                return Err(ClientError::Refused {
                    command: Cow::Borrowed("qmp_capabilities"),
                    class: refusal.class,
                    desc: refusal.desc,
                });
            }
        }
    }
}
