//! A guest's serial console: one connection to QEMU, any number of readers, and a bounded buffer.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, ready};

use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt, ReadBuf};
use tokio::net::UnixStream;
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::task::AbortHandle;

use super::ring::Ring;
use super::turn::Turn;

/// The size of the buffer, in bytes.
const HISTORY: usize = 64 * 1024;

/// A guest's serial console. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Console(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ring: Arc<Mutex<Ring>>,
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    pump: AbortHandle,
    /// Keeps other clients out.
    _turn: Option<Turn>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl Console {
    /// Connects to a console's socket, which belongs to this process while it holds the `turn`. All output from now on
    /// is copied to `log`.
    pub(crate) async fn connect(socket: &Path, log: Option<&Path>, turn: Option<Turn>) -> io::Result<Self> {
        // A FIFO without a reader is refused, and a full one is abandoned: neither may block the guest's output.
        let flags = nix::libc::O_NONBLOCK;
        let log = log.map(|path| {
            OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(flags).open(path)
        });
        let (reader, writer) = UnixStream::connect(socket).await?.into_split();
        let ring = Arc::new(Mutex::new(Ring::new(HISTORY)));
        let pump = tokio::spawn(pump(reader, ring.clone(), log.transpose()?)).abort_handle();
        Ok(Self(Arc::new(Shared { ring, writer: tokio::sync::Mutex::new(writer), pump, _turn: turn })))
    }

    /// Returns a reader that starts with the next output.
    pub fn reader(&self) -> ConsoleReader {
        let at = lock(&self.0.ring).end();
        ConsoleReader::new(self.clone(), at)
    }

    /// Returns a reader that starts with the oldest output in the buffer, which keeps the last 64 KiB.
    pub fn reader_with_history(&self) -> ConsoleReader {
        let at = lock(&self.0.ring).start();
        ConsoleReader::new(self.clone(), at)
    }

    /// Returns the last lines of output, at most `count`.
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        let mut ring = lock(&self.0.ring);
        let start = ring.start();
        let context = Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(bytes) = ring.poll_read(start, usize::MAX, &context) else { return Vec::new() };
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(count)..].iter().map(|&line| line.to_owned()).collect()
    }

    /// Sends `bytes` to the console.
    ///
    /// # Errors
    ///
    /// Fails if QEMU has closed the console.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, a part may have been written.
    pub async fn write_all(&self, bytes: &[u8]) -> io::Result<()> {
        self.0.writer.lock().await.write_all(bytes).await
    }

    /// Waits until QEMU closes the console, which means that the VM has ended.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn closed(&self) {
        let mut reader = self.reader();
        while !std::future::poll_fn(|context| reader.poll_more(4096, context)).await.is_empty() {}
    }

    /// Whether QEMU has closed the console, which means that the VM has ended.
    pub fn is_closed(&self) -> bool {
        lock(&self.0.ring).is_closed()
    }
}

async fn pump(mut reader: OwnedReadHalf, ring: Arc<Mutex<Ring>>, mut log: Option<File>) {
    let mut buffer = [0; 4096];
    // A connection reset means that QEMU died with unread input, which is the end, too.
    while let Ok(count @ 1..) = reader.read(&mut buffer).await {
        // If writing fails, for example because the disk is full, stop logging; otherwise the guest would block on its
        // serial port.
        if let Some(file) = &mut log
            && file.write_all(&buffer[..count]).is_err()
        {
            log = None;
        }
        lock(&ring).push(&buffer[..count]);
    }
    lock(&ring).close();
}

fn lock(ring: &Mutex<Ring>) -> MutexGuard<'_, Ring> {
    ring.lock().unwrap_or_else(PoisonError::into_inner)
}

/// A position in a console's output. Reads like a file; ends when the VM ends.
#[derive(Clone, Debug)]
pub struct ConsoleReader {
    console: Console,
    at: u64,
    missed: u64,
    /// Read ahead by `expect`, not yet consumed.
    pub(super) ahead: Vec<u8>,
}

impl ConsoleReader {
    fn new(console: Console, at: u64) -> Self {
        Self { console, at, missed: 0, ahead: Vec::new() }
    }

    /// Returns the number of bytes that were lost because this reader was more than 64 KiB behind.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Reads ahead. Returns `false` at the end of the output.
    pub(super) async fn read_ahead(&mut self) -> bool {
        let more = std::future::poll_fn(|context| self.poll_more(4096, context)).await;
        self.ahead.extend_from_slice(&more);
        !more.is_empty()
    }

    fn poll_more(&mut self, limit: usize, context: &Context<'_>) -> Poll<Vec<u8>> {
        let mut ring = lock(&self.console.0.ring);
        let lost = ring.start().saturating_sub(self.at);
        self.missed += lost;
        self.at += lost;
        let bytes = ready!(ring.poll_read(self.at, limit, context));
        self.at += bytes.len() as u64;
        Poll::Ready(bytes)
    }
}

impl AsyncRead for ConsoleReader {
    fn poll_read(
        mut self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        if self.ahead.is_empty() {
            let bytes = ready!(self.poll_more(buffer.remaining(), context));
            buffer.put_slice(&bytes);
        } else {
            let count = self.ahead.len().min(buffer.remaining());
            buffer.put_slice(&self.ahead[..count]);
            self.ahead.drain(..count);
        }
        Poll::Ready(Ok(()))
    }
}
