//! A command with per-call options: timeout, out-of-band execution, file descriptor.

use std::marker::PhantomData;
use std::os::fd::AsFd;
use std::time::Duration;

use serde::de::DeserializeOwned;

use crate::connection::handle::{Handle, Negotiated, Request};
use crate::error::ClientError;
use crate::pipeline::outgoing::Lane;
use crate::wire::command;

/// A command to be sent, created by [`Session::call`](crate::Session::call).
///
/// ```no_run
/// # async fn example(session: qmp_client::Session) -> Result<(), qmp_client::ClientError> {
/// use std::time::Duration;
///
/// let status = session.call(qmp_proto::QueryStatus {}).timeout(Duration::from_secs(1)).send().await?;
/// # Ok(())
/// # }
/// ```
#[must_use = "nothing is sent before `send`"]
pub struct Call<'a, R> {
    handle: &'a Handle<Negotiated>,
    request: Result<Request, ClientError>,
    oob_allowed: bool,
    deadline: Option<Duration>,
    reply: PhantomData<fn() -> R>,
}

impl<'a, R: DeserializeOwned> Call<'a, R> {
    pub(crate) fn new(
        handle: &'a Handle<Negotiated>,
        request: Result<Request, ClientError>,
        oob_allowed: bool,
    ) -> Self {
        Self { handle, request, oob_allowed, deadline: None, reply: PhantomData }
    }

    /// Sets the timeout, counted from `send`, in place of the session's. Unlike that one it is not extended while QEMU
    /// is still reading a large command.
    pub fn timeout(mut self, timeout: Duration) -> Self {
        self.deadline = Some(timeout);
        self
    }

    /// Sends the command out of band.
    pub fn out_of_band(mut self) -> Self {
        let (allowed, negotiated) = (self.oob_allowed, self.handle.peer.oob);
        self.request = self.request.and_then(|mut request| {
            if !allowed {
                return Err(ClientError::NotOutOfBand { command: request.name });
            }
            if !negotiated {
                return Err(ClientError::NoOutOfBand);
            }
            request.command.bytes = command::out_of_band(&request.command.bytes);
            request.command.lane = Lane::OutOfBand;
            Ok(request)
        });
        self
    }

    /// Sends a duplicate of `fd` along with the command. No other command is in flight during that time: with
    /// out-of-band commands negotiated, QEMU would pass the file descriptor to the wrong one.
    pub fn with_fd(mut self, fd: impl AsFd) -> Self {
        let passes = self.handle.passes_fds;
        self.request = self.request.and_then(|mut request| {
            if !passes {
                return Err(ClientError::NoDescriptors { command: request.name });
            }
            match fd.as_fd().try_clone_to_owned() {
                Ok(fd) => request.command.fd = Some(fd),
                Err(source) => return Err(ClientError::Descriptor { command: request.name, source }),
            }
            request.command.lane = Lane::Exclusive;
            Ok(request)
        });
        self
    }

    /// Sends the command and waits for its reply.
    ///
    /// # Errors
    ///
    /// - [`ClientError::NotOutOfBand`] and [`ClientError::NoOutOfBand`] if it cannot be executed out of band.
    /// - [`ClientError::NoDescriptors`] and [`ClientError::Descriptor`] if its file descriptor cannot be sent.
    /// - Those of [`Session::execute`](crate::Session::execute).
    ///
    /// # Cancel safety
    ///
    /// As [`Session::execute`](crate::Session::execute).
    pub async fn send(self) -> Result<R, ClientError> {
        let request = self.request?;
        let name = request.name.clone();
        let reply = self.handle.round_trip(request, self.deadline).await?;
        command::decode(name, &reply)
    }
}
