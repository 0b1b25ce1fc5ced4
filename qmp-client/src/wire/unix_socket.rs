//! A Unix socket that wakes its reader only when there is something to read.
//!
//! Tokio's own `UnixStream` also asks for write readiness, which QEMU's byte-wise reading signals anew for every
//! command: an extra wake-up each time. Here write readiness is asked for only while a write is stuck.

use std::io::{self, Write};
use std::os::fd::{AsRawFd, BorrowedFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};

use tokio::io::unix::AsyncFd;
use tokio::io::{AsyncRead, Interest, ReadBuf};

use crate::wire::pass_fd::{self, Received};

/// Both ends of a connected socket, which is made non-blocking.
pub(crate) fn split(stream: UnixStream) -> io::Result<(UnixReader, UnixWriter)> {
    stream.set_nonblocking(true)?;
    let stream = Arc::new(stream);
    let reader = register(Arc::clone(&stream), Interest::READABLE)?;
    Ok((UnixReader(reader), UnixWriter { stream, stuck: None }))
}

/// Has the runtime watch a descriptor that its value owns.
#[expect(unsafe_code, reason = "Tokio offers no safe way to watch a socket for reading alone")]
fn register<T: Owner>(owner: T, interest: Interest) -> io::Result<AsyncFd<T>> {
    // SAFETY: an `Owner` keeps one descriptor open for as long as it lives, and always names that one.
    Ok(unsafe { AsyncFd::register_with_interest(owner, interest)? })
}

/// What keeps one descriptor open for as long as it lives, and cannot exchange it for another.
trait Owner: AsRawFd {}

impl Owner for Arc<UnixStream> {}
impl Owner for OwnedFd {}

/// The reading end.
pub(crate) struct UnixReader(AsyncFd<Arc<UnixStream>>);

impl AsyncRead for UnixReader {
    fn poll_read(
        self: Pin<&mut Self>,
        context: &mut Context<'_>,
        buffer: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        loop {
            let mut guard = ready!(self.0.poll_read_ready(context))?;
            let room = buffer.initialize_unfilled();
            let space = room.len();
            match guard.try_io(|socket| pass_fd::receive(&**socket.get_ref(), room)) {
                Ok(Err(error)) if error.kind() == io::ErrorKind::Interrupted => {}
                Ok(received) => {
                    let Received { count, with_fds } = received?;
                    buffer.advance(count);
                    // Less than there was room for: the socket is empty, no need to read again to find out. But what comes
                    // with descriptors is received alone, whatever lies behind it.
                    if 0 < count && count < space && !with_fds {
                        guard.clear_ready();
                    }
                    return Poll::Ready(Ok(()));
                }
                Err(_would_block) => {}
            }
        }
    }
}

/// The writing end.
pub(crate) struct UnixWriter {
    stream: Arc<UnixStream>,
    /// A duplicate that waits for room, while a write is stuck.
    stuck: Option<AsyncFd<OwnedFd>>,
}

impl UnixWriter {
    /// Writes what the socket takes at once. `WouldBlock`: nothing.
    pub(crate) fn try_write(&self, bytes: &[u8], fd: Option<BorrowedFd<'_>>) -> io::Result<usize> {
        loop {
            let written = match fd {
                None => (&*self.stream).write(bytes),
                Some(fd) => pass_fd::send(&*self.stream, bytes, fd),
            };
            match written {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => return written,
            }
        }
    }

    /// Writes what the socket takes, and has the task woken when it takes more.
    pub(crate) fn poll_write(
        &mut self,
        context: &mut Context<'_>,
        bytes: &[u8],
        fd: Option<BorrowedFd<'_>>,
    ) -> Poll<io::Result<usize>> {
        loop {
            if let Some(stuck) = &self.stuck {
                let mut room = ready!(stuck.poll_write_ready(context))?;
                match self.try_write(bytes, fd) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => room.clear_ready(),
                    written => {
                        self.stuck = None;
                        return Poll::Ready(written);
                    }
                }
            } else {
                match self.try_write(bytes, fd) {
                    Err(error) if error.kind() == io::ErrorKind::WouldBlock => {
                        let duplicate = OwnedFd::from(self.stream.try_clone()?);
                        self.stuck = Some(register(duplicate, Interest::WRITABLE)?);
                    }
                    written => return Poll::Ready(written),
                }
            }
        }
    }
}
