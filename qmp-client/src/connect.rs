//! From a path to a connected socket, and from a connected stream to a negotiated one.

use std::borrow::Cow;
use std::future::poll_fn;
use std::io;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;

use tokio::net::UnixStream;

use crate::error::{ClientError, CloseReason};
use crate::framing::{Framer, TooLong, preview};
use crate::handshake::{Failure, Handshake, Step};
use crate::link::Writer;
use crate::message::{Greeting, Message};
use crate::options::Options;
use crate::task::{self, Reader};

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

/// Waits for the greeting and negotiates.
pub(crate) async fn shake_hands(
    reader: &mut Reader,
    writer: &mut Writer,
    framer: &mut Framer,
    options: &Options,
) -> Result<(Greeting, bool), ClientError> {
    let mut handshake = Handshake::new(options.oob);
    let greeting = advance(&mut handshake, reader, writer, framer);
    let outcome = tokio::time::timeout(options.greeting, greeting)
        .await
        .map_err(|_| ClientError::NoGreeting { after: options.greeting })??;
    if let Some(ready) = outcome {
        return Ok(ready);
    }
    tokio::time::timeout(options.ready, async {
        loop {
            if let Some(ready) = advance(&mut handshake, reader, writer, framer).await? {
                return Ok(ready);
            }
        }
    })
    .await
    .map_err(|_| ClientError::NotReady { after: options.ready })?
}

/// Goes on with a handshake until it is over, or until the greeting was answered.
async fn advance(
    handshake: &mut Handshake,
    reader: &mut Reader,
    writer: &mut Writer,
    framer: &mut Framer,
) -> Result<Option<(Greeting, bool)>, ClientError> {
    loop {
        let doing = if handshake.greeted() { "qmp_capabilities" } else { "waiting for the greeting" };
        let closed = |source| ClientError::Closed { doing: Cow::Borrowed(doing), source };
        let on_io = |error: io::Error| closed(CloseReason::from_io(&error));
        let line = match framer.next_line() {
            Ok(Some(line)) => framer.bytes(line),
            Ok(None) => {
                let read = poll_fn(|context| task::poll_receive(reader, context, framer)).await;
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
        let message = Message::parse(line).map_err(|_| ClientError::NotQmp { began: preview(line) })?;
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
