//! State shared by the handles and the task of one session: the pipeline and the writing end.
//!
//! A command on an idle Unix socket is written by its caller, which saves a switch to the task; everything else is
//! written by the task. No lock is held across an `await`, and no write blocks.

use std::future::poll_fn;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};

use tokio::io::{AsyncWrite, AsyncWriteExt};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::error::CloseReason;
use crate::events::Hub;
use crate::pipeline::Pipeline;
use crate::pipeline::outgoing::Outgoing;
use crate::trace;
use crate::wire::unix_socket::UnixWriter;

/// The writing end of the connection.
pub(crate) enum Writer {
    /// Can be written to by any thread, and supports passing file descriptors.
    Unix(UnixWriter),
    /// Any other stream, written only by the task.
    Stream(Pin<Box<dyn AsyncWrite + Send>>),
    /// The connection has ended.
    Gone,
}

impl Writer {
    /// Writes all of `bytes` and flushes them.
    pub(crate) async fn write_all(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Self::Unix(socket) => {
                let mut rest = bytes;
                while !rest.is_empty() {
                    let written = poll_fn(|context| socket.poll_write(context, rest, None)).await?;
                    rest = &rest[written..];
                }
                Ok(())
            }
            Self::Stream(stream) => {
                stream.write_all(bytes).await?;
                stream.flush().await
            }
            Self::Gone => Err(io::ErrorKind::BrokenPipe.into()),
        }
    }
}

/// Whether QEMU answers.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Liveness {
    /// QEMU answers, as far as is known.
    Responsive,
    /// A command timed out, and QEMU has sent nothing since the command was created. The next message makes it
    /// responsive again.
    Unresponsive,
    /// The connection has ended.
    Closed(CloseReason),
}

/// The state behind the lock.
pub(crate) struct Core {
    pub pipeline: Pipeline,
    pub writer: Writer,
    /// The task, to be woken when there is something to write or no handle is left.
    pub driver: Option<Waker>,
    /// All handles were dropped.
    pub abandoned: bool,
    /// How many messages have come.
    pub heard: u64,
    pub unresponsive: bool,
    /// When the task is to look who has waited long enough: never after the first of them has.
    pub alarm: Option<Instant>,
    /// QEMU was told to quit, so the end of the connection is no surprise.
    pub quitting: bool,
}

/// One connection.
pub(crate) struct Shared {
    core: Mutex<Core>,
    pub hub: Arc<Hub>,
    pub liveness: watch::Sender<Liveness>,
}

impl Shared {
    pub(crate) fn new(pipeline: Pipeline, writer: Writer, hub: Hub) -> Self {
        let core = Core {
            pipeline,
            writer,
            driver: None,
            abandoned: false,
            heard: 0,
            unresponsive: false,
            alarm: None,
            quitting: false,
        };
        Self {
            core: Mutex::new(core),
            hub: Arc::new(hub),
            liveness: watch::Sender::new(Liveness::Responsive),
        }
    }

    pub(crate) fn lock(&self) -> MutexGuard<'_, Core> {
        self.core.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Queues a command without a caller, and sends it at once if possible.
    pub(crate) fn send_detached(&self, command: Outgoing) {
        let mut core = self.lock();
        core.pipeline.submit_detached(command);
        core.kick();
    }

    /// Ends the connection: all callers and subscribers get the reason. Only the first reason counts.
    pub(crate) fn close(&self, reason: &CloseReason) {
        let mut core = self.lock();
        let wakers = core.pipeline.close(reason);
        let writer = std::mem::replace(&mut core.writer, Writer::Gone);
        let driver = core.driver.take();
        let reason = core.pipeline.closed().unwrap_or(reason).clone();
        drop(core);
        drop(writer);
        self.hub.close(&reason);
        self.liveness.send_if_modified(|liveness| {
            let first = !matches!(liveness, Liveness::Closed(_));
            if first {
                trace::closed(&reason);
                *liveness = Liveness::Closed(reason);
            }
            first
        });
        wakers.into_iter().chain(driver).for_each(Waker::wake);
    }

    /// Wakes the callers that have timed out.
    pub(crate) fn expire(&self) {
        let mut core = self.lock();
        let (wakers, next) = core.pipeline.expire(Instant::now());
        core.alarm = next;
        drop(core);
        wakers.into_iter().for_each(Waker::wake);
    }

    /// Marks QEMU as unresponsive after a timeout, if nothing was received since `heard` was read.
    pub(crate) fn on_silence(&self, heard: u64) {
        let mut core = self.lock();
        if core.heard == heard && core.pipeline.closed().is_none() {
            core.unresponsive = true;
            trace::responsive(false);
            self.liveness.send_replace(Liveness::Unresponsive);
        }
    }

    /// Marks QEMU as responsive.
    pub(crate) fn on_heard(&self, core: &mut Core) {
        core.heard += 1;
        if core.unresponsive {
            core.unresponsive = false;
            trace::responsive(true);
            self.liveness.send_replace(Liveness::Responsive);
        }
    }
}

impl Core {
    /// Sends what may be sent, directly if possible, or else by waking the task.
    pub(crate) fn kick(&mut self) {
        // With a command in flight the task will run anyway, and then sends everything in one write.
        let was_idle = self.pipeline.is_quiet();
        self.pipeline.fill();
        if was_idle && matches!(self.writer, Writer::Unix(_)) {
            // The task will get the same error when it reads or writes.
            let _ = self.flush(None);
        }
        if self.pipeline.pending().is_some()
            && let Some(driver) = self.driver.take()
        {
            driver.wake();
        }
    }

    /// Has the task look at the clock by then.
    pub(crate) fn ring_by(&mut self, at: Instant) {
        if self.alarm.is_none_or(|alarm| at < alarm) {
            self.alarm = Some(at);
            if let Some(driver) = self.driver.take() {
                driver.wake();
            }
        }
    }

    /// Writes as much as possible. With a context, the task is woken when more can be written.
    pub(crate) fn flush(&mut self, mut context: Option<&mut Context<'_>>) -> io::Result<()> {
        while let Some((bytes, fd)) = self.pipeline.pending() {
            let written = match &mut self.writer {
                Writer::Unix(socket) => match context.as_deref_mut() {
                    Some(context) => match socket.poll_write(context, bytes, fd) {
                        Poll::Ready(written) => written?,
                        Poll::Pending => return Ok(()),
                    },
                    None => match socket.try_write(bytes, fd) {
                        Err(error) if error.kind() == io::ErrorKind::WouldBlock => return Ok(()),
                        written => written?,
                    },
                },
                Writer::Stream(stream) => {
                    let Some(context) = context.as_deref_mut() else { return Ok(()) };
                    match stream.as_mut().poll_write(context, bytes) {
                        Poll::Ready(written) => written?,
                        Poll::Pending => return Ok(()),
                    }
                }
                Writer::Gone => return Ok(()),
            };
            if written == 0 {
                return Err(io::ErrorKind::BrokenPipe.into());
            }
            self.pipeline.wrote(written);
        }
        if let (Writer::Stream(stream), Some(context)) = (&mut self.writer, context) {
            // A stream may buffer; the flush is not waited for.
            if let Poll::Ready(flushed) = stream.as_mut().poll_flush(context) {
                flushed?;
            }
        }
        Ok(())
    }
}
