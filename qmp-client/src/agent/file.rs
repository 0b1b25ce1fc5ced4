//! Files in the guest, read and written in pieces.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use serde::Deserialize;
use serde_json::{Value, json};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

use crate::agent::{Agent, bad_reply, stream_error};
use crate::error::ClientError;
use crate::pipeline::outgoing::Outgoing;
use crate::wire::command;

/// The number of bytes in one command. The agent's limit is 48 MiB, and smaller pieces let other callers have their
/// turn.
const PIECE: usize = 1 << 20;

/// How to open a file in the guest, as in C's `fopen`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum OpenMode {
    /// For reading; it must exist.
    Read,
    /// For writing; created or truncated.
    Write,
    /// For appending; created if it does not exist.
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
    /// `None` if it is already closed.
    agent: Option<Agent>,
    handle: i64,
}

#[derive(Deserialize)]
#[serde(rename_all = "kebab-case")]
struct ReadReply {
    buf_b64: String,
    eof: bool,
}

/// The size of the blocks in which zeros are searched for; with smaller ones, seeking would cost more than sending
/// them.
const BLOCK: usize = 64 << 10;

/// The blocks of a piece; adjacent ones that have to be sent are merged.
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

    /// Reads at most `limit` bytes. Returns nothing if there is no data now, which is the end of a regular file.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: if the future is dropped, the data that was read is lost.
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
    /// Not cancel safe: if the future is dropped, part of the data may have been written.
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

    /// Flushes the agent's buffers, so that other programs in the guest see the data.
    pub(super) async fn flush(&mut self) -> Result<(), ClientError> {
        let arguments = json!({ "handle": self.handle });
        self.agent().raw::<Value>("guest-file-flush", Some(arguments), None).await.map(drop)
    }

    /// Seeks to `offset`, in bytes from the beginning.
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

    /// Whether skipped parts read as zeros, because the file ends at the current position. That is not so for devices,
    /// and pipes do not support seeking.
    async fn takes_holes(&mut self, written: u64) -> Result<bool, ClientError> {
        let arguments = json!({ "handle": self.handle, "offset": 0, "whence": "end" });
        match self.agent().raw::<SeekReply>("guest-file-seek", Some(arguments), None).await {
            Ok(end) if end.position == written => Ok(true),
            Ok(_) => self.seek(written).await.map(|()| false),
            Err(ClientError::Refused { .. }) => Ok(false),
            Err(error) => Err(error),
        }
    }

    /// Closes the file, after which all data has been passed to the guest's kernel.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`]; an earlier write error is reported here at the latest.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the file is still closed.
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
    /// If the future is dropped while the agent opens the file, the file stays open in the guest until the agent ends,
    /// since a late reply with the file's handle cannot be distinguished from stale data.
    pub async fn open_file(&self, path: &str, mode: OpenMode) -> Result<GuestFile, ClientError> {
        let arguments = json!({ "path": path, "mode": mode.word() });
        let handle = self.raw("guest-file-open", Some(arguments), None).await?;
        Ok(GuestFile { agent: Some(self.clone()), handle })
    }

    /// Copies a file out of the guest into `sink`. Returns its length in bytes.
    ///
    /// # Errors
    ///
    /// - [`ClientError::Stream`] if writing to `sink` fails.
    /// - Those of [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: if the future is dropped, part of the data may have been copied.
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

    /// Copies `source` into a file in the guest, which is created or truncated. Returns its length in bytes.
    ///
    /// Since an agent reads its input slowly, zeros are not sent but left as holes, if the file supports that.
    ///
    /// # Errors
    ///
    /// - [`ClientError::Stream`] if `source` cannot be read.
    /// - Those of [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: if the future is dropped, part of the data may have been copied.
    pub async fn copy_in<R>(&self, source: &mut R, path: &str) -> Result<u64, ClientError>
    where
        R: AsyncRead + Unpin,
    {
        let mut file = self.open_file(path, OpenMode::Write).await?;
        let mut piece = Vec::new();
        let (mut length, mut written) = (0, 0);
        // Queried when the first zeros are found.
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
            // Writing the last byte of a hole sets the file's length.
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
    /// Not cancel safe: if the future is dropped, part of the data may have been written.
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
