//! The error type, and why a connection ended.

use std::borrow::Cow;
use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use qmp_proto::ErrorClass;

use crate::printable::Printable;

/// The error of a command, or of starting a session.
#[derive(Debug, thiserror::Error)]
#[expect(missing_docs, reason = "each message says what its variant is")]
#[non_exhaustive]
pub enum ClientError {
    #[error("cannot connect to {}", path.display())]
    Connect { path: PathBuf, source: io::Error },
    #[error("cannot connect to {}: another client is connected and the queue is full", path.display())]
    Busy { path: PathBuf },
    #[error("cannot use the stream")]
    Stream { source: io::Error },
    #[error(
        "no greeting from QEMU within {after:?}: another client is using the monitor, or QEMU is stopped"
    )]
    NoGreeting { after: Duration },
    #[error("the peer does not speak QMP: it sent {began:?}")]
    NotQmp { began: String },
    #[error(
        "QEMU greeted but did not answer `qmp_capabilities` within {after:?}: it is still starting, or stuck"
    )]
    NotReady { after: Duration },
    #[error("this monitor does not support out-of-band commands")]
    NoOutOfBand,
    #[error("{command} cannot be executed out of band")]
    NotOutOfBand { command: Cow<'static, str> },
    #[error("{command}: {} ({class:?})", Printable::line(desc))]
    Refused { command: Cow<'static, str>, class: ErrorClass, desc: String },
    #[error("{command}: QEMU could not parse it: {}", Printable::line(desc))]
    NotUnderstood { command: Cow<'static, str>, desc: String },
    #[error("{command}: no reply within {after:?}{}", if *sent { "" } else { "; it was not sent, because earlier commands are still unanswered" })]
    Timeout { command: Cow<'static, str>, after: Duration, sent: bool },
    #[error(
        "{command}: the guest agent did not answer within {after:?}; check that it is installed and running, and that the VM has its channel"
    )]
    NoAgent { command: Cow<'static, str>, after: Duration },
    #[error("{command}: cannot serialize the arguments as JSON")]
    Encode { command: Cow<'static, str>, source: serde_json::Error },
    #[error("{command}: invalid command: {why}")]
    Unsendable { command: Cow<'static, str>, why: &'static str },
    #[error("{command}: cannot decode the reply at {}", Printable::line(path))]
    Decode { command: Cow<'static, str>, path: String, source: serde_json::Error },
    #[error("{command}: file descriptors can only be passed over a Unix socket")]
    NoDescriptors { command: Cow<'static, str> },
    #[error("{command}: cannot duplicate the file descriptor")]
    Descriptor { command: Cow<'static, str>, source: io::Error },
    #[error("{doing}: the connection has ended")]
    Closed { doing: Cow<'static, str>, source: CloseReason },
    #[error("{doing}: could not reconnect to {} within {after:?}{}", path.display(), Self::because(last.as_deref()))]
    NotConnected { doing: Cow<'static, str>, path: PathBuf, after: Duration, last: Option<Arc<ClientError>> },
}

impl ClientError {
    /// Formats the last of several failures as an addition to a message.
    fn because(last: Option<&Self>) -> String {
        last.map(|last| format!(": {last}")).unwrap_or_default()
    }
}

#[cfg(feature = "tracing")]
impl ClientError {
    /// Returns the kind of error, without any received data.
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Connect { .. } => "connect",
            Self::Busy { .. } => "busy",
            Self::Stream { .. } => "stream",
            Self::NoGreeting { .. } => "no greeting",
            Self::NotQmp { .. } => "not QMP",
            Self::NotReady { .. } => "not ready",
            Self::NoOutOfBand | Self::NotOutOfBand { .. } => "not out of band",
            Self::Refused { .. } => "refused",
            Self::NotUnderstood { .. } => "not understood",
            Self::Timeout { .. } => "timeout",
            Self::NoAgent { .. } => "no agent",
            Self::Encode { .. } => "encode",
            Self::Unsendable { .. } => "unsendable",
            Self::Decode { .. } => "decode",
            Self::NoDescriptors { .. } | Self::Descriptor { .. } => "descriptor",
            Self::Closed { .. } => "closed",
            Self::NotConnected { .. } => "not connected",
        }
    }
}

/// Why a connection ended.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum CloseReason {
    /// QEMU quit on request, through this session or another one.
    #[error("QEMU quit on request")]
    Quit,
    /// The peer closed the connection or died, which includes ECONNRESET.
    #[error("the peer closed the connection")]
    Eof,
    /// The peer closed the connection in the middle of a message.
    #[error("the peer closed the connection in the middle of a message, after {received} bytes")]
    Truncated {
        /// The number of bytes of the message that were received.
        received: usize,
    },
    /// The peer sent an invalid message.
    #[error("the peer sent an invalid message ({error}): {began:?}")]
    Garbage {
        /// The beginning of the message.
        began: String,
        /// The reason why it is invalid.
        error: String,
    },
    /// The peer sent a message longer than [`Options::max_message`](crate::Options::max_message).
    #[error("the peer sent a message of more than {limit} bytes")]
    TooLong {
        /// The limit, in bytes.
        limit: usize,
    },
    /// The peer sent a new greeting: it is a different QEMU, or the same one has begun a new session. Earlier commands
    /// may be lost, and no more are accepted before a new handshake.
    #[error("the peer was restarted: it sent a new greeting")]
    Restarted,
    /// Reading or writing failed.
    #[error("reading or writing failed: {message}")]
    Io {
        /// The kind of failure.
        kind: io::ErrorKind,
        /// The system's message.
        message: String,
    },
    /// Closed by this side: by `close`, by dropping the last handle, or by the end of the runtime.
    #[error("closed by this side")]
    Local,
}

impl CloseReason {
    /// Returns the kind of end, without any received data.
    #[cfg(feature = "tracing")]
    pub(crate) fn kind(&self) -> &'static str {
        match self {
            Self::Quit => "quit",
            Self::Eof => "end of file",
            Self::Truncated { .. } => "truncated",
            Self::Garbage { .. } => "garbage",
            Self::TooLong { .. } => "too long",
            Self::Restarted => "restarted",
            Self::Io { .. } => "I/O",
            Self::Local => "closed here",
        }
    }

    /// Distinguishes a peer that is gone from other I/O errors.
    pub(crate) fn from_io(error: &io::Error) -> Self {
        match error.kind() {
            io::ErrorKind::ConnectionReset | io::ErrorKind::BrokenPipe | io::ErrorKind::UnexpectedEof => {
                Self::Eof
            }
            kind => Self::Io { kind, message: error.to_string() },
        }
    }
}
