//! The handle to a QMP connection.

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
/// Cheap to clone; all clones share the connection and can be used from any number of tasks. Commands are sent in
/// order, with several in flight if that is faster. The connection ends when the last clone is dropped.
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
    /// - [`ClientError::Connect`] if nothing listens there, [`ClientError::Busy`] if its queue is full.
    /// - Those of [`Session::negotiate`].
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn connect(path: impl AsRef<Path>, options: &Options) -> Result<Self, ClientError> {
        let stream = connect(path.as_ref(), options).await?;
        Self::from_unix_stream(stream, options).await
    }

    /// Negotiates on a connected Unix socket, such as one end of a socket pair whose other end was passed to QEMU.
    ///
    /// Close your copy of QEMU's end, since QEMU's death would not be noticed otherwise.
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

    /// Negotiates on any stream, such as TCP, vsock, or a child's stdio joined by [`tokio::io::join`].
    ///
    /// Returns when QEMU has answered `qmp_capabilities`, which means that the machine has been set up. File
    /// descriptors cannot be passed over such a stream; use [`Session::connect`] or [`Session::from_unix_stream`] for
    /// that.
    ///
    /// # Errors
    ///
    /// - [`ClientError::NoGreeting`] if QEMU sends no greeting in time, usually because another client is using the
    ///   monitor.
    /// - [`ClientError::NotReady`] if QEMU sends a greeting but then does not answer in time.
    /// - [`ClientError::NotQmp`] if the peer sends something else.
    /// - [`ClientError::NoOutOfBand`] if out-of-band commands are required but not supported.
    /// - [`ClientError::Closed`] if the connection ends first, for example because QEMU dies during startup.
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
    /// - [`ClientError::Refused`] if QEMU answers with an error, whose class and message it contains.
    /// - [`ClientError::Timeout`] if there is no reply within the session's timeout.
    /// - [`ClientError::Closed`] if the connection ends or has ended.
    /// - [`ClientError::Decode`] if the reply does not have the expected form.
    /// - [`ClientError::Encode`] and [`ClientError::Unsendable`] if the command cannot be sent.
    ///
    /// # Cancel safety
    ///
    /// Once sent, the command is executed even if this future is dropped; the late reply is discarded and other
    /// commands are not affected.
    pub async fn execute<C: Command>(&self, command: C) -> Result<C::Return, ClientError> {
        let request = Request::typed(&command)?;
        let name = request.name.clone();
        let reply = self.handle.round_trip(request, None).await?;
        command::decode(name, &reply)
    }

    /// Sends a command by name and waits for its reply.
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

    /// Prepares `command` with per-call options: a timeout, out-of-band execution, or a file descriptor.
    #[expect(clippy::needless_pass_by_value, reason = "used like `execute`, which owns its command")]
    pub fn call<C: Command>(&self, command: C) -> Call<'_, C::Return> {
        let oob_allowed = C::ALLOW_OOB;
        Call::new(&self.handle, Request::typed(&command), oob_allowed)
    }

    /// Prepares a command given by name with per-call options: a timeout, out-of-band execution, or a file descriptor.
    #[expect(clippy::needless_pass_by_value, reason = "used like `execute_raw`")]
    pub fn call_raw(&self, name: &str, arguments: Option<Value>) -> Call<'_, Value> {
        Call::new(&self.handle, Request::raw(name, arguments.as_ref()), true)
    }

    /// Sends `command` out of band: before all waiting commands, and even while QEMU is busy with another one.
    ///
    /// # Errors
    ///
    /// - [`ClientError::NotOutOfBand`] if QEMU supports this command only in band.
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
    /// stopped.wait_timeout(Duration::from_secs(5)).await?;
    /// # Ok(())
    /// # }
    /// ```
    pub fn wait_for<E: Event>(&self) -> EventWait<E> {
        EventWait::new(&self.handle.shared.hub)
    }

    /// Returns QEMU's greeting: its version and capabilities.
    pub fn greeting(&self) -> &Greeting {
        &self.handle.peer.greeting
    }

    /// Whether out-of-band commands were negotiated.
    pub fn has_oob(&self) -> bool {
        self.handle.peer.oob
    }

    /// Whether file descriptors can be passed, which requires a Unix socket.
    pub fn passes_descriptors(&self) -> bool {
        self.handle.passes_fds
    }

    /// Returns a channel that says whether QEMU answers.
    pub fn liveness(&self) -> watch::Receiver<Liveness> {
        self.handle.liveness()
    }

    /// Whether the connection is open, as far as is known.
    pub(crate) fn is_open(&self) -> bool {
        !matches!(*self.handle.shared.liveness.borrow(), Liveness::Closed(_))
    }

    /// Waits until the connection has ended and returns the reason.
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn closed(&self) -> CloseReason {
        self.handle.closed().await
    }

    /// Closes the connection at once, for all clones. Pending commands fail.
    pub fn close(&self) {
        self.handle.shared.close(&CloseReason::Local);
    }

    /// Prepares a request that needs more than the public methods offer.
    pub(crate) fn call_request<R: DeserializeOwned>(&self, request: Request) -> Call<'_, R> {
        Call::new(&self.handle, Ok(request), false)
    }

    /// Sends a command without waiting for its outcome.
    pub(crate) fn send_detached(&self, command: Outgoing) {
        self.handle.shared.send_detached(command);
    }
}
