//! Files inside the guest, read and written in pieces.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::agent::{Agent, bad_reply, stream_error};
use crate::error::ClientError;
use crate::pipeline::outgoing::Outgoing;
use crate::wire::command;

/// How much travels in one command, in bytes: the agent refuses more than 48 MiB, and smaller pieces let
/// other callers have their turn.
const PIECE: usize = 1 << 20;

/// How to open a file in the guest, as C's `fopen` has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenMode {
    /// For reading; it must exist.
    Read,
    /// For writing; made anew or emptied.
    Write,
    /// For writing at its end; made if it does not exist.
    Append,
    /// For reading and writing; it must exist.
    Update,
}

impl OpenMode {
    fn word(self) -> &'static str {
        match self {
            Self::Read => "rb",
            Self::Write => "wb",
            Self::Append => "ab",
            Self::Update => "rb+",
        }
    }
}

/// An open file in the guest, closed when dropped.
#[derive(Debug)]
pub struct GuestFile {
    /// None: closed already.
    agent: Option<Agent>,
    handle: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ReadReply {
    buf_b64: String,
    eof: bool,
}

/// Zeros are looked for in blocks of so many bytes: with fewer it costs more to say where they are than to send them.
const BLOCK: usize = 64 << 10;

/// The blocks of a piece, those next to each other that have to be sent taken together.
fn runs(piece: &[u8]) -> impl Iterator<Item = &[u8]> {
    let mut rest = piece;
    std::iter::from_fn(move || {
        let first = is_zero(rest.chunks(BLOCK).next()?);
        let blocks = rest.chunks(BLOCK).take_while(|block| is_zero(block) == first);
        let (run, behind) = rest.split_at(blocks.map(<[u8]>::len).sum());
        rest = behind;
        Some(run)
    })
}

fn is_zero(bytes: &[u8]) -> bool {
    bytes.iter().all(|&byte| byte == 0)
}

#[derive(Deserialize)]
struct SeekReply {
    position: u64,
}

#[derive(Deserialize)]
struct WriteReply {
    count: usize,
}

impl GuestFile {
    fn agent(&self) -> &Agent {
        self.agent.as_ref().expect("only `close` and `drop` take it, and they take the file")
    }

    /// Reads the next bytes, at most `limit` of them. Empty: nothing is there now, at the end for a plain file.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: what was read is lost if the future is dropped.
    pub async fn read(&mut self, limit: usize) -> Result<Vec<u8>, ClientError> {
        Ok(self.read_piece(limit).await?.0)
    }

    async fn read_piece(&mut self, limit: usize) -> Result<(Vec<u8>, bool), ClientError> {
        let arguments = json!({ "handle": self.handle, "count": limit.min(PIECE) });
        let reply: ReadReply = self.agent().raw("guest-file-read", Some(arguments), None).await?;
        let bytes = STANDARD.decode(reply.buf_b64);
        let bytes = bytes.map_err(|error| bad_reply("guest-file-read", "buf-b64", error))?;
        Ok((bytes, reply.eof))
    }

    /// Writes all of `bytes`.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a part may have been written if the future is dropped.
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let piece = &rest[..rest.len().min(PIECE)];
            let arguments = json!({ "handle": self.handle, "buf-b64": STANDARD.encode(piece) });
            let reply: WriteReply = self.agent().raw("guest-file-write", Some(arguments), None).await?;
            if reply.count == 0 || reply.count > piece.len() {
                let written = format_args!("{} bytes written", reply.count);
                return Err(bad_reply("guest-file-write", "count", written));
            }
            rest = &rest[reply.count..];
        }
        Ok(())
    }

    /// Has the agent write out what it keeps back, so that others in the guest see it.
    pub(super) async fn flush(&mut self) -> Result<(), ClientError> {
        let arguments = json!({ "handle": self.handle });
        self.agent().raw::<Value>("guest-file-flush", Some(arguments), None).await.map(drop)
    }

    /// Goes to `offset`, in bytes from the beginning.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// As [`Agent::execute`].
    pub async fn seek(&mut self, offset: u64) -> Result<(), ClientError> {
        let arguments = json!({ "handle": self.handle, "offset": offset, "whence": "set" });
        self.agent().raw::<Value>("guest-file-seek", Some(arguments), None).await.map(drop)
    }

    /// Whether what is skipped reads as zeros: the file ends where it was written to. A device has more behind that, and a
    /// pipe no places at all.
    async fn takes_holes(&mut self, written: u64) -> Result<bool, ClientError> {
        let arguments = json!({ "handle": self.handle, "offset": 0, "whence": "end" });
        match self.agent().raw::<SeekReply>("guest-file-seek", Some(arguments), None).await {
            Ok(end) if end.position == written => Ok(true),
            Ok(_) => self.seek(written).await.map(|()| false),
            Err(ClientError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Closes the file; what was written is then in the guest's hands for good.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`]; a failure to write shows here at the latest.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the file all the same.
    pub async fn close(mut self) -> Result<(), ClientError> {
        let arguments = json!({ "handle": self.handle });
        let closed = self.agent().raw::<Value>("guest-file-close", Some(arguments), None).await.map(drop);
        self.agent = None;
        closed
    }
}

impl Drop for GuestFile {
    fn drop(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.handle.shared.send_detached(close(self.handle));
        }
    }
}

fn close(handle: i64) -> Outgoing {
    Outgoing::in_band(command::known("guest-file-close", &json!({ "handle": handle })))
}

impl Agent {
    /// Opens a file in the guest.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped while the agent opens the file, the file stays open in the guest until the agent ends:
    /// its late reply, and with it the file's number, cannot be told from stale words.
    pub async fn open_file(&self, path: &str, mode: OpenMode) -> Result<GuestFile, ClientError> {
        let arguments = json!({ "path": path, "mode": mode.word() });
        let handle = self.raw("guest-file-open", Some(arguments), None).await?;
        Ok(GuestFile { agent: Some(self.clone()), handle })
    }

    /// Copies a file out of the guest into `sink`. Returns its length in bytes.
    ///
    /// # Errors
    ///
    /// - [`ClientError::Stream`] if `sink` does not take it.
    /// - Those of [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a part may have been copied if the future is dropped.
    pub async fn copy_out<W>(&self, path: &str, sink: &mut W) -> Result<u64, ClientError>
    where
        W: AsyncWrite + Unpin,
    {
        let mut file = self.open_file(path, OpenMode::Read).await?;
        let mut length = 0;
        loop {
            let (bytes, end) = file.read_piece(PIECE).await?;
            sink.write_all(&bytes).await.map_err(stream_error)?;
            length += bytes.len() as u64;
            if end || bytes.is_empty() {
                break;
            }
        }
        sink.flush().await.map_err(stream_error)?;
        file.close().await?;
        Ok(length)
    }

    /// Copies `source` into a file in the guest, which is made or emptied first. Returns its length in bytes.
    ///
    /// An agent reads slowly what it is sent, letter by letter: zeros are not sent, but left as holes, where the file can
    /// have them.
    ///
    /// # Errors
    ///
    /// - [`ClientError::Stream`] if `source` cannot be read.
    /// - Those of [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a part may have been copied if the future is dropped.
    pub async fn copy_in<R>(&self, source: &mut R, path: &str) -> Result<u64, ClientError>
    where
        R: AsyncRead + Unpin,
    {
        let mut file = self.open_file(path, OpenMode::Write).await?;
        let mut piece = Vec::new();
        let (mut length, mut written) = (0, 0);
        // Asked when the first zeros come.
        let mut takes_holes = None;
        loop {
            piece.clear();
            (&mut *source).take(PIECE as u64).read_to_end(&mut piece).await.map_err(stream_error)?;
            if piece.is_empty() {
                break;
            }
            for run in runs(&piece) {
                length += run.len() as u64;
                if is_zero(run) {
                    let takes = match takes_holes {
                        Some(takes) => takes,
                        None => *takes_holes.insert(file.takes_holes(written).await?),
                    };
                    if takes {
                        continue;
                    }
                }
                let at = length - run.len() as u64;
                if written < at {
                    file.seek(at).await?;
                }
                file.write_all(run).await?;
                written = length;
            }
        }
        if written < length {
            // The last byte of a hole gives the file its length.
            file.seek(length - 1).await?;
            file.write_all(&[0]).await?;
        }
        file.close().await?;
        Ok(length)
    }

    /// Reads a whole file in the guest.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing in the guest.
    pub async fn read_file(&self, path: &str) -> Result<Vec<u8>, ClientError> {
        let mut bytes = Vec::new();
        self.copy_out(path, &mut bytes).await?;
        Ok(bytes)
    }

    /// Writes a whole file in the guest.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a part may have been written if the future is dropped.
    pub async fn write_file(&self, path: &str, mut bytes: &[u8]) -> Result<(), ClientError> {
        self.copy_in(&mut bytes, path).await.map(drop)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn zeros_are_told_from_the_rest_block_by_block() {
        let mut piece = vec![0; 5 * BLOCK + 7];
        piece[2 * BLOCK + 1] = 1;
        piece[3 * BLOCK] = 1;
        let found: Vec<_> = runs(&piece).map(|run| (run.len(), is_zero(run))).collect();
        assert_eq!(found, [(2 * BLOCK, true), (2 * BLOCK, false), (BLOCK + 7, true)]);
        assert_eq!(runs(&[]).count(), 0);
        assert_eq!(runs(b"abc").collect::<Vec<_>>(), [b"abc"]);
    }
}
