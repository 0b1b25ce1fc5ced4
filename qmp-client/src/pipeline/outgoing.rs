//! A command on its way, and what undoes it if nobody waits for it any more.

use std::fmt;
use std::os::fd::OwnedFd;

/// A command on its way, without its id and closing brace.
pub(crate) struct Outgoing {
    pub bytes: Vec<u8>,
    pub lane: Lane,
    pub fd: Option<OwnedFd>,
    /// What must follow if the caller goes away after the command was sent.
    pub orphan: Option<Orphan>,
}

impl Outgoing {
    /// An ordinary command.
    pub(crate) fn in_band(bytes: Vec<u8>) -> Self {
        Self { bytes, lane: Lane::InBand, fd: None, orphan: None }
    }
}

/// How a command relates to the others.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Lane {
    /// In order, several in flight.
    InBand,
    /// In order, and no other in-band command in flight from its first byte to its reply.
    Exclusive,
    /// Ahead of all that waits.
    OutOfBand,
}

/// A command that undoes one whose caller went away.
pub(crate) enum Orphan {
    /// Sent in any case.
    Always(Box<Outgoing>),
    /// Made from the late reply, if that was a success.
    OnReply(Box<Undo>),
}

impl Orphan {
    /// The command that undoes the one with this reply.
    pub(crate) fn undo(self, reply: &[u8]) -> Option<Outgoing> {
        match self {
            Self::Always(command) => Some(*command),
            Self::OnReply(undo) => undo(reply),
        }
    }
}

/// Makes the command that undoes another from its reply.
pub(crate) type Undo = dyn FnOnce(&[u8]) -> Option<Outgoing> + Send;

impl fmt::Debug for Orphan {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        formatter.write_str(match self {
            Self::Always(_) => "Always",
            Self::OnReply(_) => "OnReply",
        })
    }
}

// Arguments may hold secrets, so the bytes are not shown.
impl fmt::Debug for Outgoing {
    fn fmt(&self, formatter: &mut fmt::Formatter) -> fmt::Result {
        let Self { bytes, lane, fd, orphan } = self;
        write!(formatter, "Outgoing {{ {} bytes, {lane:?}, {fd:?}, {orphan:?} }}", bytes.len())
    }
}
