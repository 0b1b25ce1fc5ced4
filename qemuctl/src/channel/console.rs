//! A guest's serial console: one connection to QEMU, any number of readers, bounded memory.

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

/// How much of the past a new reader can see, in bytes.
const HISTORY: usize = 64 * 1024;

/// A guest's serial console. Clones share the connection.
#[derive(Clone, Debug)]
pub struct Console(Arc<Shared>);

#[derive(Debug)]
struct Shared {
    ring: Arc<Mutex<Ring>>,
    writer: tokio::sync::Mutex<OwnedWriteHalf>,
    pump: AbortHandle,
    /// Nobody else is served meanwhile.
    _turn: Option<Turn>,
}

impl Drop for Shared {
    fn drop(&mut self) {
        self.pump.abort();
    }
}

impl Console {
    /// Connects to a console's socket, which is ours for the `turn`. `log` gets everything that the guest prints from now on.
    pub(crate) async fn connect(socket: &Path, log: Option<&Path>, turn: Option<Turn>) -> io::Result<Self> {
        // A FIFO that nobody reads is refused, and one that is full is given up: neither may hold the guest's output up.
        let flags = nix::libc::O_NONBLOCK;
        let log = log.map(|path| {
            OpenOptions::new().create(true).append(true).mode(0o600).custom_flags(flags).open(path)
        });
        let (reader, writer) = UnixStream::connect(socket).await?.into_split();
        let ring = Arc::new(Mutex::new(Ring::new(HISTORY)));
        let pump = tokio::spawn(pump(reader, ring.clone(), log.transpose()?)).abort_handle();
        Ok(Self(Arc::new(Shared { ring, writer: tokio::sync::Mutex::new(writer), pump, _turn: turn })))
    }

    /// A reader that begins with what is printed from now on.
    pub fn reader(&self) -> ConsoleReader {
        let at = lock(&self.0.ring).end();
        ConsoleReader::new(self.clone(), at)
    }

    /// A reader that begins with the oldest byte still known: the last 64 KiB are kept.
    pub fn reader_with_history(&self) -> ConsoleReader {
        let at = lock(&self.0.ring).start();
        ConsoleReader::new(self.clone(), at)
    }

    /// The last lines that the guest printed, at most `count`, as text.
    pub fn last_lines(&self, count: usize) -> Vec<String> {
        let mut ring = lock(&self.0.ring);
        let start = ring.start();
        let context = Context::from_waker(std::task::Waker::noop());
        let Poll::Ready(bytes) = ring.poll_read(start, usize::MAX, &context) else { return Vec::new() };
        let text = String::from_utf8_lossy(&bytes);
        let lines: Vec<&str> = text.lines().map(str::trim_end).filter(|line| !line.is_empty()).collect();
        lines[lines.len().saturating_sub(count)..].iter().map(|&line| line.to_owned()).collect()
    }

    /// Types `bytes` into the console.
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

    /// Waits until QEMU has closed the console: the VM has ended.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost when the future is dropped.
    pub async fn closed(&self) {
        let mut reader = self.reader();
        while !std::future::poll_fn(|context| reader.poll_more(4096, context)).await.is_empty() {}
    }

    /// Whether QEMU has closed the console: the VM has ended.
    pub fn is_closed(&self) -> bool {
        lock(&self.0.ring).is_closed()
    }
}

async fn pump(mut reader: OwnedReadHalf, ring: Arc<Mutex<Ring>>, mut log: Option<File>) {
    let mut buffer = [0; 4096];
    // A reset means that QEMU died with something unread: the end as well.
    while let Ok(count @ 1..) = reader.read(&mut buffer).await {
        // A full disk must not stop the guest: it would block on its serial port.
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

/// A place in a console's output. Reads like a file; ends when the VM ends.
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

    /// How many bytes were lost because this reader was more than 64 KiB behind.
    pub fn missed(&self) -> u64 {
        self.missed
    }

    /// Reads ahead; `false` at the end of the output.
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
