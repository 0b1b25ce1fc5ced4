//! A session that reconnects when the peer is restarted, and reports where something may have been lost.
//!
//! A lost connection is not hidden: a pending command fails, whether QEMU has executed it or not, and is not repeated.

use std::borrow::Cow;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use qmp_proto::{Command, TimedEvent};
use serde_json::Value;
use tokio::sync::watch;
use tokio::time::{Instant, sleep, timeout};

use crate::error::{ClientError, CloseReason};
use crate::events::{Events, EventsError};
use crate::options::Options;
use crate::session::Session;

/// How to retry connecting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Backoff {
    /// The delay after the first failed attempt; the first attempt is made at once.
    pub first: Duration,
    /// The longest delay. The delay doubles up to this.
    pub longest: Duration,
    /// How long to try before giving up for good. `None` means forever.
    pub give_up: Option<Duration>,
}

impl Default for Backoff {
    fn default() -> Self {
        Self { first: Duration::from_millis(50), longest: Duration::from_secs(5), give_up: None }
    }
}

/// The state of the connection.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Link {
    /// Connected, with this session.
    Up(Session),
    /// The last connection has ended, and a new one is being made.
    Down {
        /// Why the last connection ended.
        reason: CloseReason,
        /// Why the last attempt to connect failed, if there was one.
        error: Option<Arc<ClientError>>,
    },
    /// No more attempts are made: [`Reconnecting::close`] was called, the last handle was dropped, or
    /// [`Backoff::give_up`] has expired.
    Closed {
        /// Why the last connection ended.
        reason: CloseReason,
    },
}

/// A session that reconnects when its connection ends. Cheap to clone; all clones share the connection.
///
/// ```no_run
/// # async fn example() -> Result<(), Box<dyn std::error::Error>> {
/// use qmp_client::reconnect::{Backoff, News, Reconnecting};
/// use qmp_client::Options;
///
/// let qemu = Reconnecting::connect("/run/vm/qmp.sock", &Options::default(), Backoff::default()).await?;
/// let mut events = qemu.events();
/// while let Some(news) = events.next().await {
///     match news {
///         News::Event(event) => println!("{}", event.event.name()),
///         // Events may have been missed, so query the state.
///         _ => println!("{:?}", qemu.execute(qmp_proto::QueryStatus {}).await?.status),
///     }
/// }
/// # Ok(())
/// # }
/// ```
#[derive(Clone, Debug)]
pub struct Reconnecting {
    shared: Arc<Shared>,
}

#[derive(Debug)]
struct Shared {
    path: PathBuf,
    options: Options,
    link: watch::Receiver<Link>,
    /// Dropped with the last handle.
    closing: watch::Sender<bool>,
}

impl Reconnecting {
    /// Connects to QEMU's monitor socket at `path`, and reconnects whenever the connection ends.
    ///
    /// # Errors
    ///
    /// As [`Session::connect`]; the first connection is attempted only once.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn connect(
        path: impl AsRef<Path>,
        options: &Options,
        backoff: Backoff,
    ) -> Result<Self, ClientError> {
        let session = Session::connect(path.as_ref(), options).await?;
        let (report, link) = watch::channel(Link::Up(session.clone()));
        let (closing, closed) = watch::channel(false);
        let keeper =
            Keeper { path: path.as_ref().to_owned(), options: options.clone(), backoff, report, closed };
        tokio::spawn(keeper.run(session));
        let shared = Shared { path: path.as_ref().to_owned(), options: options.clone(), link, closing };
        Ok(Self { shared: Arc::new(shared) })
    }

    /// Returns a channel with the state of the connection.
    pub fn link(&self) -> watch::Receiver<Link> {
        self.shared.link.clone()
    }

    /// Returns the current session, or waits for the next one within the timeout [`Options::command`].
    ///
    /// # Errors
    ///
    /// [`ClientError::NotConnected`] if there is none in time, [`ClientError::Closed`] if there will be none.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn session(&self) -> Result<Session, ClientError> {
        self.session_for(Cow::Borrowed("reconnecting")).await
    }

    async fn session_for(&self, doing: Cow<'static, str>) -> Result<Session, ClientError> {
        let after = self.shared.options.command;
        let mut link = self.shared.link.clone();
        let up = link.wait_for(|link| match link {
            // Notice the end of the old connection before waiting for a new one.
            Link::Up(session) => session.is_open(),
            Link::Down { .. } => false,
            Link::Closed { .. } => true,
        });
        if let Ok(found) = timeout(after, up).await {
            let source = match found.as_deref() {
                Ok(Link::Up(session)) => return Ok(session.clone()),
                Ok(Link::Down { reason, .. } | Link::Closed { reason }) => reason.clone(),
                // The runtime of the session has ended.
                Err(_) => CloseReason::Local,
            };
            return Err(ClientError::Closed { doing, source });
        }
        let last = match &*self.shared.link.borrow() {
            Link::Down { error, .. } => error.clone(),
            _ => None,
        };
        Err(ClientError::NotConnected { doing, path: self.shared.path.clone(), after, last })
    }

    /// Sends `command` and waits for its reply. If there is no connection, waits for one first.
    ///
    /// # Errors
    ///
    /// - [`ClientError::Closed`] if the connection ends before the reply: the command may or may not have been
    ///   executed, and is not repeated.
    /// - [`ClientError::NotConnected`] if there is no connection within [`Options::command`]: the command was not sent.
    /// - Those of [`Session::execute`].
    ///
    /// # Cancel safety
    ///
    /// As [`Session::execute`].
    pub async fn execute<C: Command>(&self, command: C) -> Result<C::Return, ClientError> {
        self.session_for(Cow::Borrowed(C::NAME)).await?.execute(command).await
    }

    /// Sends a command by name and waits for its reply.
    ///
    /// # Errors
    ///
    /// As [`Reconnecting::execute`].
    ///
    /// # Cancel safety
    ///
    /// As [`Session::execute`].
    pub async fn execute_raw(&self, name: &str, arguments: Option<Value>) -> Result<Value, ClientError> {
        self.session_for(Cow::Owned(name.to_owned())).await?.execute_raw(name, arguments).await
    }

    /// Subscribes to all events from now on, over all connections.
    pub fn events(&self) -> ReconnectingEvents {
        let (events, reason) = match &*self.shared.link.borrow() {
            Link::Up(session) => (Some(session.events()), CloseReason::Local),
            Link::Down { reason, .. } | Link::Closed { reason } => (None, reason.clone()),
        };
        ReconnectingEvents { link: self.shared.link.clone(), events, reason }
    }

    /// Closes the connection for good, for all clones.
    pub fn close(&self) {
        self.shared.closing.send_replace(true);
    }
}

/// The task that reconnects.
struct Keeper {
    path: PathBuf,
    options: Options,
    backoff: Backoff,
    report: watch::Sender<Link>,
    closed: watch::Receiver<bool>,
}

impl Keeper {
    async fn run(self, first: Session) {
        let mut closed = self.closed.clone();
        let over = async {
            // An error: the last handle is gone.
            let _ = closed.wait_for(|closed| *closed).await;
        };
        tokio::select! {
            () = over => {}
            () = self.keep(first) => {}
        }
        let reason = match &*self.report.borrow() {
            Link::Up(session) => {
                session.close();
                CloseReason::Local
            }
            Link::Down { reason, .. } | Link::Closed { reason } => reason.clone(),
        };
        self.report.send_replace(Link::Closed { reason });
    }

    /// Returns the time at which to give up.
    async fn keep(&self, mut session: Session) {
        loop {
            let reason = session.closed().await;
            self.report.send_replace(Link::Down { reason: reason.clone(), error: None });
            let Some(next) = self.again(&reason).await else { return };
            self.report.send_replace(Link::Up(next.clone()));
            session = next;
        }
    }

    async fn again(&self, reason: &CloseReason) -> Option<Session> {
        let begin = Instant::now();
        let mut wait = self.backoff.first;
        loop {
            let error = match Session::connect(&self.path, &self.options).await {
                Ok(session) => return Some(session),
                Err(error) => Some(Arc::new(error)),
            };
            self.report.send_replace(Link::Down { reason: reason.clone(), error });
            let left = self.backoff.give_up.map(|limit| limit.saturating_sub(begin.elapsed()));
            if left.is_some_and(|left| left.is_zero()) {
                return None;
            }
            sleep(wait.min(left.unwrap_or(wait))).await;
            wait = (wait * 2).min(self.backoff.longest);
        }
    }
}

/// The items of an event subscription.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum News {
    /// An event.
    Event(Box<TimedEvent>),
    /// This many events were dropped because the subscriber was too slow.
    Missed(u64),
    /// The connection was lost and has been restored, so events may have been missed. Query what they may have changed;
    /// no later event is missing.
    Gap(CloseReason),
}

/// A subscription to the events of a [`Reconnecting`] session. Dropping it ends it.
#[derive(Debug)]
pub struct ReconnectingEvents {
    link: watch::Receiver<Link>,
    /// `None` if there is no connection.
    events: Option<Events>,
    /// Why the last connection ended.
    reason: CloseReason,
}

impl ReconnectingEvents {
    /// Waits for the next event or gap. Returns `None` if the session is closed for good and all events were returned.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Option<News> {
        if let Some(events) = &mut self.events {
            match events.recv().await {
                Ok(event) => return Some(News::Event(Box::new(event))),
                Err(EventsError::Missed(count)) => return Some(News::Missed(count)),
                Err(EventsError::Closed(reason)) => self.reason = reason,
                Err(_) => {}
            }
            self.events = None;
        }
        let next = self.link.wait_for(|link| match link {
            Link::Up(session) => session.is_open(),
            Link::Down { .. } => false,
            Link::Closed { .. } => true,
        });
        // An error: the runtime of the session has ended.
        let session = match &*next.await.ok()? {
            Link::Up(session) => session.clone(),
            Link::Down { .. } | Link::Closed { .. } => return None,
        };
        self.events = Some(session.events());
        Some(News::Gap(self.reason.clone()))
    }
}
