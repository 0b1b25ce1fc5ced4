//! Files between the host and the guest, through the guest's agent, with checksums.

use std::io;
use std::pin::Pin;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use hmac_sha256::Hash;
use qmp_client::ClientError;
use qmp_client::agent::{Agent, Exec};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::error::Error;
use crate::instance::Instance;

/// The timeout for the guest to compute a checksum; under TCG it reads some 20 MiB per second.
const SUMS_UP: Duration = Duration::from_secs(600);

/// The result of copying a file into or out of a guest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CopyReport {
    /// Its length in bytes.
    pub bytes: u64,
    /// The SHA-256 of the data on this host, in hexadecimal.
    pub sha256: String,
    /// The result of the checksum comparison in the guest.
    pub guest: GuestChecksum,
}

/// The result of comparing checksums with the guest.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GuestChecksum {
    /// The guest's file has the same SHA-256. A different one is an error.
    Same,
    /// The guest has no `sha256sum`, like Windows, or its agent may not run programs.
    Unknown,
}

/// # Copying files
impl Instance {
    /// Copies `source` into the file `path` in the guest, which is created or truncated, and compares checksums.
    ///
    /// `progress` is called after each piece with the number of bytes so far. Other users of the agent can get their
    /// turn after each piece (1 MiB).
    ///
    /// # Errors
    ///
    /// - [`Error::Missing`] if the VM has no agent channel.
    /// - [`Error::Qmp`] if `source` cannot be read, the guest cannot write, or its agent is gone.
    /// - [`Error::Damaged`] if the checksums differ.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the file in the guest is incomplete.
    pub async fn copy_in<R>(
        &self,
        source: &mut R,
        path: &str,
        progress: impl FnMut(u64) + Send,
    ) -> Result<CopyReport, Error>
    where
        R: AsyncRead + Send + Unpin,
    {
        let agent = self.agent().await?;
        let mut counted = Counted::new(source, progress);
        let copy = async {
            let copied = agent.copy_in(&mut counted, path).await;
            self.compare(&agent, "copying into the guest", path, copied, counted.sum).await
        };
        self.in_guest("copying into the guest", copy).await
    }

    /// Copies the file `path` in the guest into `sink`, and compares checksums.
    ///
    /// `progress` is called after each piece with the number of bytes so far.
    ///
    /// # Errors
    ///
    /// As [`copy_in`](Self::copy_in); a file that the guest writes to during the copy results in [`Error::Damaged`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, part of the file has been written to `sink`. The guest's file is not changed.
    pub async fn copy_out<W>(
        &self,
        path: &str,
        sink: &mut W,
        progress: impl FnMut(u64) + Send,
    ) -> Result<CopyReport, Error>
    where
        W: AsyncWrite + Send + Unpin,
    {
        let agent = self.agent().await?;
        let mut counted = Counted::new(sink, progress);
        let copy = async {
            let copied = agent.copy_out(path, &mut counted).await;
            self.compare(&agent, "copying out of the guest", path, copied, counted.sum).await
        };
        self.in_guest("copying out of the guest", copy).await
    }

    async fn compare(
        &self,
        agent: &Agent,
        action: &'static str,
        path: &str,
        copied: Result<u64, ClientError>,
        sum: Hash,
    ) -> Result<CopyReport, Error> {
        let bytes = match copied {
            Ok(bytes) => bytes,
            Err(error) => return Err(self.explain_end(action, error).await),
        };
        let sha256 = hexadecimal(&sum.finalize());
        let found = match guest_sum(agent, path).await {
            Ok(found) => found,
            Err(error) => return Err(self.explain_end(action, error).await),
        };
        match found {
            Some(other) if other != sha256 => Err(Error::Damaged {
                action,
                name: self.name().to_owned(),
                path: path.to_owned(),
                host: sha256,
                guest: other,
            }),
            found => {
                let guest = found.map_or(GuestChecksum::Unknown, |_| GuestChecksum::Same);
                Ok(CopyReport { bytes, sha256, guest })
            }
        }
    }
}

/// Returns the SHA-256 of a file in the guest, or `None` if the guest has no program for that.
async fn guest_sum(agent: &Agent, path: &str) -> Result<Option<String>, ClientError> {
    let exec = Exec::with_args("sha256sum", ["--", path]);
    let output = match agent.exec(&exec, SUMS_UP).await {
        Ok(output) => output,
        Err(ClientError::Refused { .. }) => return Ok(None),
        Err(error) => return Err(error),
    };
    // If the name contains a newline or a backslash, the line starts with a backslash.
    let text = String::from_utf8_lossy(&output.stdout);
    let digits = text.trim_start_matches('\\').split_ascii_whitespace().next().unwrap_or_default();
    let whole = digits.len() == 64 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    Ok((output.code == Some(0) && whole).then(|| digits.to_ascii_lowercase()))
}

fn hexadecimal(bytes: &[u8]) -> String {
    use std::fmt::Write;
    bytes.iter().fold(String::with_capacity(64), |mut text, byte| {
        // Writing to a string cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// A stream that computes the checksum of its data, and reports the number of bytes.
struct Counted<'s, S, P> {
    stream: &'s mut S,
    progress: P,
    bytes: u64,
    sum: Hash,
}

impl<'s, S, P: FnMut(u64)> Counted<'s, S, P> {
    fn new(stream: &'s mut S, progress: P) -> Self {
        Self { stream, progress, bytes: 0, sum: Hash::new() }
    }

    fn count(&mut self, piece: &[u8]) {
        if !piece.is_empty() {
            self.sum.update(piece);
            self.bytes += piece.len() as u64;
            (self.progress)(self.bytes);
        }
    }
}

// No field is pinned.
impl<S, P> Unpin for Counted<'_, S, P> {}

impl<S: AsyncRead + Unpin, P: FnMut(u64)> AsyncRead for Counted<'_, S, P> {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buffer.filled().len();
        ready!(Pin::new(&mut *self.stream).poll_read(context, buffer))?;
        self.count(&buffer.filled()[before..]);
        Poll::Ready(Ok(()))
    }
}

impl<S: AsyncWrite + Unpin, P: FnMut(u64)> AsyncWrite for Counted<'_, S, P> {
    fn poll_write(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        piece: &[u8],
    ) -> Poll<io::Result<usize>> {
        let written = ready!(Pin::new(&mut *self.stream).poll_write(context, piece))?;
        self.count(&piece[..written]);
        Poll::Ready(Ok(written))
    }

    fn poll_flush(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_flush(context)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, context: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut *self.stream).poll_shutdown(context)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use tokio::io::{AsyncReadExt, AsyncWriteExt};

    #[tokio::test]
    async fn what_goes_through_is_summed_up() {
        let sum_of_abc = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        let (mut seen, mut text) = (Vec::new(), String::new());
        let mut source = &b"abc"[..];
        let mut counted = Counted::new(&mut source, |bytes| seen.push(bytes));
        counted.read_to_string(&mut text).await.expect("read");
        assert_eq!(hexadecimal(&counted.sum.finalize()), sum_of_abc);
        assert_eq!((text.as_str(), seen.as_slice()), ("abc", &[3][..]));

        let mut sink = Vec::new();
        let mut counted = Counted::new(&mut sink, |_| ());
        counted.write_all(b"ab").await.expect("written");
        counted.write_all(b"c").await.expect("written");
        assert_eq!(hexadecimal(&counted.sum.finalize()), sum_of_abc);
        assert_eq!(sink, b"abc");
    }
}
