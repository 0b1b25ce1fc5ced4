//! The task that owns the stream: it reads without ever waiting for a subscriber, and writes queued commands.

use std::io;
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use tokio::io::{AsyncRead, ReadBuf};
use tokio::time::{Instant, Sleep, sleep, sleep_until};

use crate::connection::shared::Shared;
use crate::error::CloseReason;
use crate::trace;
use crate::wire::framing::{Framer, TooLong, preview};
use crate::wire::message::Message;

/// The reading end of the connection.
pub(crate) type Reader = Pin<Box<dyn AsyncRead + Send>>;

/// How long what was left to do when the last handle went may still take, such as releasing descriptors; and how
/// long the end of the stream may take once writing has failed.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// After this many events the subscribers get a turn, lest a flood overtakes them on a single thread.
const EVENTS_AT_ONCE: usize = 256;

/// Tells everybody that the connection is over, also when the runtime ends or the task panics.
pub(crate) struct CloseOnDrop(pub Arc<Shared>);

impl Drop for CloseOnDrop {
    fn drop(&mut self) {
        self.0.close(&CloseReason::Local);
    }
}

/// Serves one connection until it ends or all handles are gone.
///
/// The guard comes from outside, because a task that is dropped before it ever ran has to close as well.
pub(crate) async fn run(guard: CloseOnDrop, reader: Reader, framer: Framer) {
    let shared = Arc::clone(&guard.0);
    let agent = shared.lock().pipeline.is_agent();
    let mut driver = Driver { shared, reader, framer, broken: None, alarm: Alarm::default(), agent };
    // Messages may have come along with the end of the handshake.
    if let Err(reason) = driver.deliver() {
        guard.0.close(&reason);
        return;
    }
    let reason = match std::future::poll_fn(|context| driver.poll(context, false)).await {
        CloseReason::Local => {
            let last_words = std::future::poll_fn(|context| driver.poll(context, true));
            tokio::time::timeout(LAST_WORDS, last_words).await.unwrap_or(CloseReason::Local)
        }
        reason => reason,
    };
    guard.0.close(&reason);
}

/// A connection that takes nothing more.
struct Broken {
    reason: CloseReason,
    /// When the peer's last words are no longer waited for. What it said before it went away may still be unread, and
    /// its end of the stream is seen only behind that.
    until: Pin<Box<Sleep>>,
}

/// The one timer of a connection: it rings when a caller may have waited long enough.
#[derive(Default)]
struct Alarm {
    sleep: Option<Pin<Box<Sleep>>>,
    set: Option<Instant>,
}

impl Alarm {
    /// Whether it rings. It wakes the task that asked first after it was set.
    fn rings(&mut self, at: Option<Instant>, context: &mut Context<'_>) -> bool {
        let Some(at) = at else { return false };
        let sleep = self.sleep.get_or_insert_with(|| Box::pin(sleep_until(at)));
        if self.set != Some(at) {
            sleep.as_mut().reset(at);
            self.set = Some(at);
        } else if !sleep.is_elapsed() {
            return false;
        }
        sleep.as_mut().poll(context).is_ready()
    }
}

struct Driver {
    shared: Arc<Shared>,
    reader: Reader,
    framer: Framer,
    /// Writing failed, which ends the connection once all that came before was read.
    broken: Option<Broken>,
    alarm: Alarm,
    /// The peer is a guest agent.
    agent: bool,
}

impl Driver {
    /// Works until nothing can be done; ready when the connection is over. `Local`: no handle is left; then
    /// `last_words` goes on until nothing is unanswered.
    fn poll(&mut self, context: &mut Context<'_>, last_words: bool) -> Poll<CloseReason> {
        let mut events = 0;
        loop {
            if events > EVENTS_AT_ONCE {
                // To be woken behind everybody else, the one who runs the runtime included.
                let mut turn = std::pin::pin!(tokio::task::yield_now());
                if turn.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                events = 0;
            }
            let alarm = {
                let mut core = self.shared.lock();
                if let Some(reason) = core.pipeline.closed() {
                    return Poll::Ready(reason.clone());
                }
                if core.abandoned && (!last_words || core.pipeline.is_idle()) {
                    return Poll::Ready(CloseReason::Local);
                }
                match &mut core.driver {
                    Some(known) => known.clone_from(context.waker()),
                    none => *none = Some(context.waker().clone()),
                }
                core.pipeline.fill();
                if self.broken.is_none()
                    && let Err(error) = core.flush(Some(context))
                {
                    let reason = CloseReason::from_io(&error);
                    self.broken = Some(Broken { reason, until: Box::pin(sleep(LAST_WORDS)) });
                }
                core.alarm
            };
            if self.alarm.rings(alarm, context) {
                self.shared.expire();
                continue;
            }
            match poll_receive(&mut self.reader, context, &mut self.framer) {
                Poll::Ready(Ok(0)) => return Poll::Ready(self.at_end()),
                Poll::Ready(Ok(_)) => match self.deliver() {
                    Ok(count) => events += count,
                    Err(reason) => return Poll::Ready(reason),
                },
                Poll::Ready(Err(error)) => {
                    let reason = CloseReason::from_io(&error);
                    return Poll::Ready(if reason == CloseReason::Eof { self.at_end() } else { reason });
                }
                Poll::Pending => {
                    let Some(broken) = &mut self.broken else { return Poll::Pending };
                    ready!(broken.until.as_mut().poll(context));
                    return Poll::Ready(broken.reason.clone());
                }
            }
        }
    }

    /// What the end of the stream means.
    fn at_end(&self) -> CloseReason {
        if self.shared.lock().quitting {
            CloseReason::Quit
        } else if self.framer.pending() > 0 {
            CloseReason::Truncated { received: self.framer.pending() }
        } else {
            CloseReason::Eof
        }
    }

    /// Hands out all whole messages. Returns how many of them were events.
    fn deliver(&mut self) -> Result<usize, CloseReason> {
        let mut events = 0;
        loop {
            let line = match self.framer.next_line() {
                Ok(Some(line)) => self.framer.bytes(line),
                Ok(None) => return Ok(events),
                Err(TooLong(limit)) => return Err(CloseReason::TooLong { limit }),
            };
            let line = if self.agent {
                let Some(line) = self.shared.lock().pipeline.filter(line) else { continue };
                line
            } else {
                line
            };
            let message = match Message::parse(line) {
                Ok(message) => message,
                // An agent that is out of step may say anything; what counts is how it gets in step.
                Err(_) if self.agent => continue,
                Err(error) => {
                    return Err(CloseReason::Garbage { began: preview(line), error: error.to_string() });
                }
            };
            match message {
                Message::Reply { id, outcome } => {
                    let part = outcome.map(|reply| self.framer.range_of(reply));
                    let outcome = part.map(|part| self.framer.keep(part));
                    let mut core = self.shared.lock();
                    self.shared.on_heard(&mut core);
                    let waker = core.pipeline.on_reply(id, outcome);
                    drop(core);
                    if let Some(waker) = waker {
                        waker.wake();
                    }
                }
                Message::Event(event) => {
                    let mut core = self.shared.lock();
                    self.shared.on_heard(&mut core);
                    core.quitting |= event.is_quit();
                    drop(core);
                    trace::event(&event.name, event.data.map_or(0, |data| data.get().len()));
                    self.shared.hub.publish(&event);
                    events += 1;
                }
                Message::Greeting(_) if !self.agent => return Err(CloseReason::Restarted),
                Message::Greeting(_) | Message::Other => self.shared.on_heard(&mut self.shared.lock()),
            }
        }
    }
}

/// Receives what has come.
pub(crate) fn poll_receive(
    reader: &mut Reader,
    context: &mut Context<'_>,
    framer: &mut Framer,
) -> Poll<io::Result<usize>> {
    let mut space = ReadBuf::new(framer.space());
    ready!(reader.as_mut().poll_read(context, &mut space))?;
    let count = space.filled().len();
    framer.received(count);
    Poll::Ready(Ok(count))
}
