//! The handle of one QMP connection, to be cloned at will.

use std::borrow::Cow;
use std::os::unix::net::UnixStream as StdUnixStream;
use std::path::Path;
use std::sync::Arc;

use qmp_proto::{Command, Event};
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;

use crate::call::Call;
use crate::connection::connect::{connect, shake_hands};
use crate::connection::driver::Reader;
use crate::connection::handle::{Handle, Negotiated, Request};
use crate::connection::shared::{Liveness, Writer};
use crate::error::{ClientError, CloseReason};
use crate::events::{EventWait, Events};
use crate::options::Options;
use crate::pipeline::Pipeline;
use crate::pipeline::outgoing::Outgoing;
use crate::wire::command;
use crate::wire::framing::Framer;
use crate::wire::message::Greeting;
use crate::wire::unix_socket;

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
    handle: Arc<Handle<Negotiated>>,
}

impl std::fmt::Debug for Session {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter
            .debug_struct("Session")
            .field("greeting", &self.handle.peer.greeting)
            .field("oob", &self.handle.peer.oob)
            .field("liveness", &*self.handle.shared.liveness.borrow())
            .finish_non_exhaustive()
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
        let stream = connect(path.as_ref(), options).await?;
        Self::from_unix_stream(stream, options).await
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
    pub async fn from_unix_stream(stream: StdUnixStream, options: &Options) -> Result<Self, ClientError> {
        let (reader, writer) = unix_socket::split(stream).map_err(|source| ClientError::Stream { source })?;
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
        let (greeting, oob, line_ends) = shake_hands(&mut reader, &mut writer, &mut framer, options).await?;
        let (pipeline, peer) = (Pipeline::monitor(line_ends), Negotiated { greeting, oob });
        Ok(Self { handle: Arc::new(Handle::start(pipeline, peer, reader, writer, framer, options)) })
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
        let reply = self.handle.round_trip(request, None).await?;
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
        Call::new(&self.handle, Request::typed(&command), oob_allowed)
    }

    /// Prepares the command `name`, to be sent with a deadline of its own, out of band, or with a descriptor.
    #[expect(clippy::needless_pass_by_value, reason = "used like `execute_raw`")]
    pub fn call_raw(&self, name: &str, arguments: Option<Value>) -> Call<'_, Value> {
        Call::new(&self.handle, Request::raw(name, arguments.as_ref()), true)
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
        self.handle.shared.hub.all()
    }

    /// Subscribes to the events of the given names from now on.
    pub fn events_named<N>(&self, names: impl IntoIterator<Item = N>) -> Events
    where
        N: Into<Cow<'static, str>>,
    {
        self.handle.shared.hub.named(names.into_iter().map(Into::into))
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
        EventWait::new(&self.handle.shared.hub)
    }

    /// What QEMU said first: its version and capabilities.
    pub fn greeting(&self) -> &Greeting {
        &self.handle.peer.greeting
    }

    /// Whether out-of-band commands were negotiated.
    pub fn has_oob(&self) -> bool {
        self.handle.peer.oob
    }

    /// Whether descriptors can be passed: over Unix sockets only.
    pub fn passes_descriptors(&self) -> bool {
        self.handle.passes_fds
    }

    /// Whether QEMU answers, to be watched.
    pub fn liveness(&self) -> watch::Receiver<Liveness> {
        self.handle.liveness()
    }

    /// Whether the connection has not ended, as far as is known.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(*self.handle.shared.liveness.borrow(), Liveness::Closed(_))
    }

    /// Waits until the connection has ended and says why.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future changes nothing.
    pub async fn closed(&self) -> CloseReason {
        self.handle.closed().await
    }

    /// Closes the connection now, for all clones. Commands under way fail.
    pub fn close(&self) {
        self.handle.shared.close(&CloseReason::Local);
    }

    /// Prepares a request that needs more than the public methods offer.
    pub(crate) fn call_request<R: DeserializeOwned>(&self, request: Request) -> Call<'_, R> {
        Call::new(&self.handle, Ok(request), false)
    }

    /// Sends a command whose outcome nobody waits for.
    pub(crate) fn send_detached(&self, command: Outgoing) {
        self.handle.shared.send_detached(command);
    }
}
