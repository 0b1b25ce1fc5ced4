//! The handle of one QMP connection, to be cloned at will.

use std::borrow::Cow;
use std::io;
use std::path::Path;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use qmp_proto::{Command, Event};
use serde::de::DeserializeOwned;
use serde_json::Value;
use serde_json::value::RawValue;
use tokio::io::{AsyncRead, AsyncWrite, AsyncWriteExt};
use tokio::net::UnixStream;
use tokio::sync::watch;

use crate::call::Call;
use crate::command;
use crate::error::{ClientError, CloseReason};
use crate::events::{EventWait, Events, Hub, Limits};
use crate::exchange::{Exchange, Orphan, Outcome, Outgoing, Ticket};
use crate::framing::{Framer, TooLong, preview};
use crate::handshake::{Failure, Handshake, Step};
use crate::link::{Link, Liveness, Writer};
use crate::message::{Greeting, Message};
use crate::options::Options;
use crate::task::{self, Reader};

/// A command of more bytes than this has its deadline extended while QEMU takes it.
const LARGE: usize = 16 << 10;

/// A QMP session: one connection, negotiated and ready for commands.
///
/// Cheap to clone; all clones share the connection, from as many tasks as you like. Commands are sent in
/// order, several in flight where that is faster. When the last clone is dropped, the connection ends.
///
/// ```no_run
/// # async fn example() -> Result<(), qmp_client::ClientError> {
/// use qmp_client::{Options, Session};
/// use qmp_proto::QueryStatus;
///
/// let session = Session::connect("/run/vm/qmp.sock", &Options::default()).await?;
/// let status = session.execute(QueryStatus {}).await?;
/// println!("{:?}", status.status);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Session {
    inner: Arc<Inner>,
}

struct Inner {
    link: Arc<Link>,
    greeting: Greeting,
    oob: bool,
    passes_fds: bool,
    command_deadline: Duration,
}

impl Drop for Inner {
    fn drop(&mut self) {
        let mut core = self.link.lock();
        core.abandoned = true;
        if let Some(task) = core.task.take() {
            task.wake();
        }
    }
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter
            .debug_struct("Session")
            .field("greeting", &self.inner.greeting)
            .field("oob", &self.inner.oob)
            .field("liveness", &*self.inner.link.liveness.borrow())
            .finish_non_exhaustive()
    }
}

/// A command, encoded.
pub(crate) struct Request {
    pub name: Cow<'static, str>,
    pub command: Outgoing,
}

impl Request {
    pub(crate) fn typed<C: Command>(command: &C) -> Result<Self, ClientError> {
        Self::new(Cow::Borrowed(C::NAME), command)
    }

    pub(crate) fn raw(name: &str, arguments: Option<&Value>) -> Result<Self, ClientError> {
        Self::new(Cow::Owned(name.to_owned()), &arguments)
    }

    fn new<A: serde::Serialize + ?Sized>(
        name: Cow<'static, str>,
        arguments: &A,
    ) -> Result<Self, ClientError> {
        match command::encode(&name, arguments) {
            Ok(bytes) => Ok(Self { name, command: Outgoing::in_band(bytes) }),
            Err(error) => Err(error.of(name)),
        }
    }

    pub(crate) fn orphan(mut self, orphan: Orphan) -> Self {
        self.command.orphan = Some(orphan);
        self
    }
}

impl Session {
    /// Connects to QEMU's monitor socket at `path` and negotiates.
    ///
    /// # Errors
    ///
    /// - [`ClientError::Connect`] if nobody listens there, [`ClientError::Busy`] if too many wait already.
    /// - Those of [`Session::negotiate`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn connect(path: impl AsRef<Path>, options: &Options) -> Result<Self, ClientError> {
        let path = path.as_ref();
        let failed = |source: io::Error| {
            let path = path.to_owned();
            if source.kind() == io::ErrorKind::WouldBlock {
                ClientError::Busy { path }
            } else {
                ClientError::Connect { path, source }
            }
        };
        let stream = tokio::time::timeout(options.connect, UnixStream::connect(path))
            .await
            .unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()))
            .map_err(failed)?;
        Self::over_unix(stream, options).await
    }

    /// Negotiates on a connected Unix socket, such as one end of a socketpair whose other end QEMU was given.
    ///
    /// Keep no copy of QEMU's end, or its death stays invisible.
    ///
    /// # Errors
    ///
    /// - [`ClientError::Stream`] if the socket cannot be made non-blocking.
    /// - Those of [`Session::negotiate`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn from_unix_stream(
        stream: std::os::unix::net::UnixStream,
        options: &Options,
    ) -> Result<Self, ClientError> {
        let wrap = |source| ClientError::Stream { source };
        stream.set_nonblocking(true).map_err(wrap)?;
        Self::over_unix(UnixStream::from_std(stream).map_err(wrap)?, options).await
    }

    async fn over_unix(stream: UnixStream, options: &Options) -> Result<Self, ClientError> {
        let (reader, writer) = stream.into_split();
        Self::start(Box::pin(reader), Writer::Unix(writer), options).await
    }

    /// Negotiates on any stream: TCP, vsock, a child's stdio joined by [`tokio::io::join`].
    ///
    /// Returns once QEMU has answered `qmp_capabilities`, which means that the machine is built. Descriptors
    /// cannot be passed over such a stream; use [`Session::connect`] or [`Session::from_unix_stream`] for that.
    ///
    /// # Errors
    ///
    /// - [`ClientError::NoGreeting`] if QEMU says nothing in time: most often another client holds the monitor.
    /// - [`ClientError::NotReady`] if QEMU greets and then does not answer in time.
    /// - [`ClientError::NotQmp`] if the peer says something else.
    /// - [`ClientError::NoOutOfBand`] if out-of-band commands are required and not on offer.
    /// - [`ClientError::Closed`] if the connection ends first, as when QEMU dies at start-up.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn negotiate<S>(stream: S, options: &Options) -> Result<Self, ClientError>
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        Self::start(Box::pin(reader), Writer::Stream(Box::pin(writer)), options).await
    }

    async fn start(mut reader: Reader, mut writer: Writer, options: &Options) -> Result<Self, ClientError> {
        let mut framer = Framer::new(options.max_message);
        let (greeting, oob) = shake_hands(&mut reader, &mut writer, &mut framer, options).await?;
        let passes_fds = matches!(writer, Writer::Unix(_));
        let limits = Limits { events: options.event_backlog.max(1), bytes: options.event_backlog_bytes };
        let link = Arc::new(Link::new(Exchange::new(), writer, Hub::new(limits)));
        tokio::spawn(task::run(Arc::clone(&link), reader, framer));
        let inner = Inner { link, greeting, oob, passes_fds, command_deadline: options.command };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Sends `command` and waits for its reply.
    ///
    /// # Errors
    ///
    /// - [`ClientError::Refused`] if QEMU answers with an error; its class and text are kept.
    /// - [`ClientError::Timeout`] if no reply comes before the session's deadline.
    /// - [`ClientError::Closed`] if the connection ends or has ended.
    /// - [`ClientError::Decode`] if the reply does not have the expected shape.
    /// - [`ClientError::Encode`] and [`ClientError::Unsendable`] if the command cannot be sent as it is.
    ///
    /// # Cancel safety
    ///
    /// Once sent, QEMU carries the command out even if this future is dropped; the late reply is
    /// discarded and other commands on the session are not affected.
    pub async fn execute<C: Command>(&self, command: C) -> Result<C::Return, ClientError> {
        let request = Request::typed(&command)?;
        let name = request.name.clone();
        let reply = self.round_trip(request, None).await?;
        command::decode(name, &reply)
    }

    /// Sends the command `name`, typed or not, and waits for its reply.
    ///
    /// # Errors
    ///
    /// As [`Session::execute`].
    ///
    /// # Cancel safety
    ///
    /// As [`Session::execute`].
    pub async fn execute_raw(&self, name: &str, arguments: Option<Value>) -> Result<Value, ClientError> {
        self.call_raw(name, arguments).send().await
    }

    /// Prepares `command`, to be sent with a deadline of its own, out of band, or with a descriptor.
    #[expect(clippy::needless_pass_by_value, reason = "used like `execute`, which owns its command")]
    pub fn call<C: Command>(&self, command: C) -> Call<'_, C::Return> {
        let oob_allowed = C::ALLOW_OOB;
        Call::new(self, Request::typed(&command), oob_allowed)
    }

    /// Prepares the command `name`, to be sent with a deadline of its own, out of band, or with a descriptor.
    #[expect(clippy::needless_pass_by_value, reason = "used like `execute_raw`")]
    pub fn call_raw(&self, name: &str, arguments: Option<Value>) -> Call<'_, Value> {
        Call::new(self, Request::raw(name, arguments.as_ref()), true)
    }

    /// Sends `command` out of band: ahead of all that waits, even while QEMU is busy with another command.
    ///
    /// # Errors
    ///
    /// - [`ClientError::NotOutOfBand`] if QEMU takes this command in band only.
    /// - [`ClientError::NoOutOfBand`] if out-of-band commands were not negotiated.
    /// - Those of [`Session::execute`].
    ///
    /// # Cancel safety
    ///
    /// As [`Session::execute`].
    pub async fn execute_oob<C: Command>(&self, command: C) -> Result<C::Return, ClientError> {
        self.call(command).out_of_band().send().await
    }

    /// Subscribes to all events from now on.
    pub fn events(&self) -> Events {
        self.inner.link.hub.all()
    }

    /// Subscribes to the events of the given names from now on.
    pub fn events_named<N>(&self, names: impl IntoIterator<Item = N>) -> Events
    where
        N: Into<Cow<'static, str>>,
    {
        self.inner.link.hub.named(names.into_iter().map(Into::into))
    }

    /// Subscribes to the events of one kind, to wait for the next of them.
    ///
    /// Call it before sending the command that causes the event, so that nothing is missed:
    ///
    /// ```no_run
    /// # async fn example(session: qmp_client::Session) -> Result<(), Box<dyn std::error::Error>> {
    /// use std::time::Duration;
    ///
    /// let mut stopped = session.wait_for::<qmp_proto::event::Stop>();
    /// session.execute(qmp_proto::Stop {}).await?;
    /// stopped.within(Duration::from_secs(5)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_for<E: Event>(&self) -> EventWait<E> {
        EventWait::new(&self.inner.link.hub)
    }

    /// What QEMU said first: its version and capabilities.
    pub fn greeting(&self) -> &Greeting {
        &self.inner.greeting
    }

    /// Whether out-of-band commands were negotiated.
    pub fn has_oob(&self) -> bool {
        self.inner.oob
    }

    /// Whether descriptors can be passed: over Unix sockets only.
    pub fn passes_descriptors(&self) -> bool {
        self.inner.passes_fds
    }

    /// Whether QEMU answers, to be watched.
    pub fn liveness(&self) -> watch::Receiver<Liveness> {
        self.inner.link.liveness.subscribe()
    }

    /// Waits until the connection has ended and says why.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn closed(&self) -> CloseReason {
        let mut liveness = self.liveness();
        let closed = liveness.wait_for(|liveness| matches!(liveness, Liveness::Closed(_))).await;
        match closed.as_deref() {
            Ok(Liveness::Closed(reason)) => reason.clone(),
            _ => CloseReason::Local,
        }
    }

    /// Closes the connection now, for all clones. Commands under way fail.
    pub fn close(&self) {
        self.inner.link.close(&CloseReason::Local);
    }

    /// Prepares a request that needs more than the public methods offer.
    pub(crate) fn call_request<R: DeserializeOwned>(&self, request: Request) -> Call<'_, R> {
        Call::new(self, Ok(request), false)
    }

    /// Sends a command whose outcome nobody waits for.
    pub(crate) fn send_detached(&self, command: Outgoing) {
        self.inner.link.send_detached(command);
    }

    fn link(&self) -> &Arc<Link> {
        &self.inner.link
    }

    /// Sends a request and waits for its reply, for at most `deadline` or else the session's deadline.
    pub(crate) async fn round_trip(
        &self,
        request: Request,
        deadline: Option<Duration>,
    ) -> Result<Box<RawValue>, ClientError> {
        let Request { name, command } = request;
        let large = deadline.is_none() && command.bytes.len() > LARGE;
        let after = deadline.unwrap_or(self.inner.command_deadline);
        let (ticket, heard) = {
            let mut core = self.link().lock();
            let ticket = match core.exchange.submit(command) {
                Ok(ticket) => ticket,
                Err(source) => return Err(ClientError::Closed { doing: name, source }),
            };
            core.kick();
            (ticket, core.heard)
        };
        let mut reply = Reply { link: self.link(), ticket: Some(ticket) };
        let outcome = loop {
            let progress = if large { reply.progress() } else { 0 };
            match tokio::time::timeout(after, reply.outcome()).await {
                Ok(outcome) => break outcome,
                Err(_) if large && reply.progress() > progress => {}
                Err(_) => {
                    let sent = reply.was_sent();
                    self.link().on_silence(heard);
                    return Err(ClientError::Timeout { command: name, after, sent });
                }
            }
        };
        match outcome {
            Outcome::Success(reply) => Ok(reply),
            Outcome::Refused(refusal) => {
                Err(ClientError::Refused { command: name, class: refusal.class, desc: refusal.desc })
            }
            Outcome::NotUnderstood(desc) => Err(ClientError::NotUnderstood { command: name, desc }),
            Outcome::Closed(source) => Err(ClientError::Closed { doing: name, source }),
        }
    }
}

/// A caller waiting for its reply. Dropping it takes the command back as far as that is possible.
struct Reply<'a> {
    link: &'a Link,
    ticket: Option<Ticket>,
}

impl Reply<'_> {
    async fn outcome(&mut self) -> Outcome {
        std::future::poll_fn(|context| {
            let Some(ticket) = self.ticket else { return Poll::Ready(Outcome::Closed(CloseReason::Local)) };
            let outcome = self.link.lock().exchange.poll(ticket, context.waker());
            if outcome.is_ready() {
                self.ticket = None;
            }
            outcome
        })
        .await
    }

    fn progress(&self) -> u64 {
        self.ticket.map_or(0, |ticket| self.link.lock().exchange.progress(ticket))
    }

    fn was_sent(&self) -> bool {
        self.ticket.is_none_or(|ticket| self.link.lock().exchange.was_sent(ticket))
    }
}

impl Drop for Reply<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let mut core = self.link.lock();
            core.exchange.abandon(ticket);
            core.kick();
        }
    }
}

/// Waits for the greeting and negotiates.
async fn shake_hands(
    reader: &mut Reader,
    writer: &mut Writer,
    framer: &mut Framer,
    options: &Options,
) -> Result<(Greeting, bool), ClientError> {
    let mut handshake = Handshake::new(options.oob);
    let greeting = advance(&mut handshake, reader, writer, framer);
    let outcome = tokio::time::timeout(options.greeting, greeting)
        .await
        .map_err(|_| ClientError::NoGreeting { after: options.greeting })??;
    if let Some(ready) = outcome {
        return Ok(ready);
    }
    tokio::time::timeout(options.ready, async {
        loop {
            if let Some(ready) = advance(&mut handshake, reader, writer, framer).await? {
                return Ok(ready);
            }
        }
    })
    .await
    .map_err(|_| ClientError::NotReady { after: options.ready })?
}

/// Goes on with a handshake until it is over, or until the greeting was answered.
async fn advance(
    handshake: &mut Handshake,
    reader: &mut Reader,
    writer: &mut Writer,
    framer: &mut Framer,
) -> Result<Option<(Greeting, bool)>, ClientError> {
    loop {
        let doing = if handshake.greeted() { "qmp_capabilities" } else { "waiting for the greeting" };
        let closed = |source| ClientError::Closed { doing: Cow::Borrowed(doing), source };
        let on_io = |error: io::Error| closed(CloseReason::from_io(&error));
        let line = match framer.next_line() {
            Ok(Some(line)) => framer.bytes(line),
            Ok(None) => {
                let read = tokio::io::AsyncReadExt::read_buf(reader, framer.space()).await;
                if read.map_err(on_io)? == 0 {
                    return Err(closed(CloseReason::Eof));
                }
                continue;
            }
            Err(TooLong(limit)) => return Err(closed(CloseReason::TooLong { limit })),
        };
        let message = Message::parse(line).map_err(|_| ClientError::NotQmp { began: preview(line) })?;
        match handshake.on_message(message) {
            Step::Wait => {}
            Step::Send(command) => {
                match writer {
                    Writer::Unix(half) => half.write_all(command.as_bytes()).await,
                    Writer::Stream(stream) => {
                        async {
                            stream.write_all(command.as_bytes()).await?;
                            stream.flush().await
                        }
                        .await
                    }
                    Writer::Gone => Ok(()),
                }
                .map_err(on_io)?;
                return Ok(None);
            }
            Step::Ready { greeting, oob } => return Ok(Some((greeting, oob))),
            Step::Failed(Failure::NoOutOfBand) => return Err(ClientError::NoOutOfBand),
            Step::Failed(Failure::Refused(refusal)) => {
                return Err(ClientError::Refused {
                    command: Cow::Borrowed("qmp_capabilities"),
                    class: refusal.class,
                    desc: refusal.desc,
                });
            }
        }
    }
}
