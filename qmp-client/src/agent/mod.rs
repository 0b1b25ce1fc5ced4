//! The QEMU guest agent: programs, files and file systems inside a guest.
//!
//! The agent's channel has neither a greeting nor ids, outlives its clients, and there may be no agent at its other
//! end. An [`Agent`] synchronizes before its first command, and again after each command that was not answered, so that
//! a stale reply is never taken for the right one.

mod exec;
mod file;
mod follow;
mod freeze;
mod process;
mod program;
mod run;
mod signal;

use std::borrow::Cow;
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io;
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use qmp_proto::Command;
use serde::de::DeserializeOwned;
use serde_json::Value;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::watch;
use tokio::time::Instant;

use crate::connection::connect::connect;
use crate::connection::driver::Reader;
use crate::connection::handle::{Handle, Request};
use crate::connection::shared::{Liveness, Writer};
use crate::error::{ClientError, CloseReason};
use crate::options::Options;
use crate::pipeline::Pipeline;
use crate::pipeline::agent_sync::AgentSync;
use crate::wire::command;
use crate::wire::framing::Framer;
use crate::wire::unix_socket;

pub use exec::{Exec, ExecOutput, OUTPUT_LIMIT, Output};
pub use file::{GuestFile, OpenMode};
pub use freeze::Frozen;
pub use process::GuestProcess;
pub use signal::GuestSignal;

/// The timeout of one attempt to reach an agent while waiting for it to start.
const ATTEMPT: Duration = Duration::from_secs(5);

/// A connection to a guest agent. Cheap to clone; all clones share the connection.
///
/// The agent executes one command at a time; callers take turns.
#[derive(Clone)]
pub struct Agent {
    handle: Arc<Handle<()>>,
}

impl std::fmt::Debug for Agent {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter
            .debug_struct("Agent")
            .field("liveness", &*self.handle.shared.liveness.borrow())
            .finish_non_exhaustive()
    }
}

impl Agent {
    /// Connects to the socket at `path`, QEMU's end of the agent's channel.
    ///
    /// This does not require a running agent; see [`Agent::wait_ready`]. The options for the greeting are ignored.
    ///
    /// # Errors
    ///
    /// - [`ClientError::Connect`] if nothing listens there, [`ClientError::Busy`] if its queue is full.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future closes the connection.
    pub async fn connect(path: impl AsRef<Path>, options: &Options) -> Result<Self, ClientError> {
        let stream = connect(path.as_ref(), options).await?;
        Self::from_unix_stream(stream, options)
    }

    /// Uses a connected Unix socket. Must be called within a Tokio runtime.
    ///
    /// # Errors
    ///
    /// - [`ClientError::Stream`] if the socket cannot be made non-blocking.
    pub fn from_unix_stream(stream: UnixStream, options: &Options) -> Result<Self, ClientError> {
        let (reader, writer) = unix_socket::split(stream).map_err(|source| ClientError::Stream { source })?;
        Ok(Self::start(Box::pin(reader), Writer::Unix(writer), options))
    }

    /// Uses any stream. Must be called within a Tokio runtime.
    pub fn over<S>(stream: S, options: &Options) -> Self
    where
        S: AsyncRead + AsyncWrite + Send + 'static,
    {
        let (reader, writer) = tokio::io::split(stream);
        Self::start(Box::pin(reader), Writer::Stream(Box::pin(writer)), options)
    }

    fn start(reader: Reader, writer: Writer, options: &Options) -> Self {
        let pipeline = Pipeline::agent(AgentSync::new(random()));
        let framer = Framer::new(options.max_message);
        Self { handle: Arc::new(Handle::start(pipeline, (), reader, writer, framer, options)) }
    }

    /// Sends `command` and waits for its reply.
    ///
    /// # Errors
    ///
    /// - [`ClientError::NoAgent`] if no agent has answered within the session's timeout.
    /// - [`ClientError::Refused`] if the agent answers with an error.
    /// - [`ClientError::Timeout`] if it does not answer in time.
    /// - [`ClientError::Closed`] if the connection ends or has ended.
    /// - [`ClientError::Decode`] if the reply does not have the expected form.
    /// - [`ClientError::Encode`] and [`ClientError::Unsendable`] if the command cannot be sent.
    ///
    /// # Cancel safety
    ///
    /// Once sent, the command is executed even if this future is dropped; the late reply is discarded and other
    /// commands are not affected.
    pub async fn execute<C: Command>(&self, command: C) -> Result<C::Return, ClientError> {
        self.send(Request::typed(&command)?, None).await
    }

    /// Like [`Agent::execute`], with its own timeout.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// As [`Agent::execute`].
    pub async fn execute_timeout<C: Command>(
        &self,
        command: C,
        deadline: Duration,
    ) -> Result<C::Return, ClientError> {
        self.send(Request::typed(&command)?, Some(deadline)).await
    }

    /// Sends a command by name and waits for its reply, for at most `deadline`, or else for the session's timeout.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// As [`Agent::execute`].
    pub async fn execute_raw(
        &self,
        name: &str,
        arguments: Option<Value>,
        deadline: Option<Duration>,
    ) -> Result<Value, ClientError> {
        self.send(Request::raw(name, arguments.as_ref())?, deadline).await
    }

    /// Sends a command that the agent answers only if it fails: `guest-shutdown` and `guest-suspend-*`. Waits up to
    /// `grace` for an error.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`], but once the command was sent, no answer means success, and so does the end of the
    /// connection.
    ///
    /// # Cancel safety
    ///
    /// As [`Agent::execute`].
    pub async fn execute_unanswered<C: Command>(
        &self,
        command: C,
        grace: Duration,
    ) -> Result<(), ClientError> {
        match self.handle.round_trip(Request::typed(&command)?, Some(grace)).await {
            Ok(_)
            | Err(
                ClientError::Timeout { sent: true, .. }
                | ClientError::Closed { source: CloseReason::Eof, .. },
            ) => Ok(()),
            Err(error) => Err(error),
        }
    }

    /// Waits for the agent to answer, for example while the guest is booting, for at most `deadline`.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn wait_ready(&self, deadline: Duration) -> Result<(), ClientError> {
        let begin = Instant::now();
        loop {
            let left = deadline.saturating_sub(begin.elapsed());
            match self.raw::<Value>("guest-ping", None, Some(left.min(ATTEMPT))).await {
                Err(ClientError::NoAgent { .. } | ClientError::Timeout { .. }) if left > ATTEMPT => {}
                Err(ClientError::NoAgent { command, .. } | ClientError::Timeout { command, .. }) => {
                    return Err(ClientError::NoAgent { command, after: deadline });
                }
                outcome => return outcome.map(drop),
            }
        }
    }

    /// Returns a channel that says whether the agent answers.
    pub fn liveness(&self) -> watch::Receiver<Liveness> {
        self.handle.liveness()
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

    async fn raw<R: DeserializeOwned>(
        &self,
        name: &'static str,
        arguments: Option<Value>,
        deadline: Option<Duration>,
    ) -> Result<R, ClientError> {
        self.send(Request::raw(name, arguments.as_ref())?, deadline).await
    }

    async fn send<R: DeserializeOwned>(
        &self,
        request: Request,
        deadline: Option<Duration>,
    ) -> Result<R, ClientError> {
        let name = request.name.clone();
        let reply = self.handle.round_trip(request, deadline).await?;
        command::decode(name, &reply)
    }
}

/// Returns a number that no other client of the same agent has used. It is not secret.
fn random() -> u64 {
    RandomState::new().build_hasher().finish()
}

/// Makes the error for an unexpected value at `path` of a reply.
fn bad_reply(command: &'static str, path: &str, why: impl std::fmt::Display) -> ClientError {
    let source = <serde_json::Error as serde::de::Error>::custom(why);
    ClientError::Decode { command: Cow::Borrowed(command), path: path.to_owned(), source }
}

/// Waits before polling again, longer each time.
async fn pause(step: &mut Duration) {
    const LONGEST: Duration = Duration::from_millis(500);
    tokio::time::sleep(*step).await;
    *step = (*step * 3 / 2).min(LONGEST);
}

/// Keeps the original error, since a decode error could not be distinguished from an error of the caller's stream
/// otherwise.
fn stream_error(source: io::Error) -> ClientError {
    ClientError::Stream { source }
}
