//! A connection as its user holds it, be it to QEMU's monitor or to a guest agent: one command there and back.

use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime;
use tokio::sync::watch;
use tokio::time::Instant;

use qmp_proto::Command;

use crate::connection::driver::{self, CloseOnDrop, Reader};
use crate::connection::shared::{Liveness, Shared, Writer};
use crate::error::{ClientError, CloseReason};
use crate::events::{Hub, Limits};
use crate::options::Options;
use crate::pipeline::outgoing::{Orphan, Outgoing};
use crate::pipeline::{Outcome, Pipeline, Ticket};
use crate::trace::CommandSpan;
use crate::wire::command;
use crate::wire::framing::{Framer, Kept};
use crate::wire::message::Greeting;

/// A command of more bytes than this has its deadline extended while QEMU takes it.
const LARGE: usize = 16 << 10;

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

/// One connection as it is held from outside. It ends when the last holder drops this.
///
/// `P` is what is known of the peer: of a monitor what was negotiated, of a guest agent nothing.
pub(crate) struct Handle<P> {
    pub shared: Arc<Shared>,
    pub peer: P,
    pub passes_fds: bool,
    /// The runtime that serves the connection.
    home: runtime::Id,
    command_deadline: Duration,
}

/// What was negotiated with a monitor.
pub(crate) struct Negotiated {
    pub greeting: Greeting,
    pub oob: bool,
}

impl<P> Drop for Handle<P> {
    fn drop(&mut self) {
        let mut core = self.shared.lock();
        core.abandoned = true;
        if let Some(driver) = core.driver.take() {
            driver.wake();
        }
    }
}

impl<P> Handle<P> {
    /// Starts the task that serves the connection.
    pub(crate) fn start(
        pipeline: Pipeline,
        peer: P,
        reader: Reader,
        writer: Writer,
        framer: Framer,
        options: &Options,
    ) -> Self {
        let passes_fds = matches!(writer, Writer::Unix(_));
        let limits = Limits { events: options.event_backlog.max(1), bytes: options.event_backlog_bytes };
        let shared = Arc::new(Shared::new(pipeline, writer, Hub::new(limits)));
        tokio::spawn(driver::run(CloseOnDrop(Arc::clone(&shared)), reader, framer));
        let home = runtime::Handle::current().id();
        Self { shared, peer, passes_fds, home, command_deadline: options.command }
    }

    pub(crate) fn liveness(&self) -> watch::Receiver<Liveness> {
        self.shared.liveness.subscribe()
    }

    pub(crate) async fn closed(&self) -> CloseReason {
        let mut liveness = self.liveness();
        let closed = liveness.wait_for(|liveness| matches!(liveness, Liveness::Closed(_))).await;
        match closed.as_deref() {
            Ok(Liveness::Closed(reason)) => reason.clone(),
            _ => CloseReason::Local,
        }
    }

    /// Sends a request and waits for its reply, for at most `deadline` or else the session's deadline.
    ///
    /// The request is handed over at the call, so that the future does not have to hold it.
    pub(crate) fn round_trip(
        &self,
        request: Request,
        deadline: Option<Duration>,
    ) -> impl Future<Output = Result<Kept, ClientError>> + Send + use<'_, P> {
        let reply = self.submit(request, deadline);
        async move { reply?.wait().await }
    }

    fn submit(&self, request: Request, deadline: Option<Duration>) -> Result<Reply<'_>, ClientError> {
        let Request { name, command } = request;
        let span = CommandSpan::new(&name, command.bytes.len());
        let large = deadline.is_none() && command.bytes.len() > LARGE;
        let after = deadline.unwrap_or(self.command_deadline);
        let mut core = self.shared.lock();
        match core.pipeline.submit(command) {
            Ok(ticket) => {
                core.kick();
                if let Some(until) = Instant::now().checked_add(after) {
                    core.pipeline.wait_until(ticket, until, large.then_some(after));
                    core.ring_by(until);
                }
                let heard = core.heard;
                drop(core);
                Ok(Reply {
                    shared: &self.shared,
                    home: self.home,
                    name,
                    span,
                    ticket: Some(ticket),
                    heard,
                    after,
                })
            }
            Err(source) => {
                drop(core);
                let error = ClientError::Closed { doing: name, source };
                span.failed(&error);
                Err(error)
            }
        }
    }
}

/// A caller waiting for its reply. Dropping it takes the command back as far as that is possible.
struct Reply<'a> {
    shared: &'a Shared,
    /// The runtime that serves the connection.
    home: runtime::Id,
    name: Cow<'static, str>,
    span: CommandSpan,
    ticket: Option<Ticket>,
    /// How much had been heard when the command was made.
    heard: u64,
    after: Duration,
}

impl Reply<'_> {
    async fn wait(mut self) -> Result<Kept, ClientError> {
        let away = runtime::Handle::try_current().is_ok_and(|runtime| runtime.id() != self.home);
        let mut outcome = None;
        // The runtime that serves the connection may stand still, and with it the connection's own timer.
        while outcome.is_none() && away {
            match tokio::time::timeout(self.after, self.outcome()).await {
                Ok(known) => outcome = Some(known),
                Err(_) => self.shared.expire(),
            }
        }
        let outcome = match outcome {
            Some(outcome) => outcome,
            None => self.outcome().await,
        };
        let command = std::mem::take(&mut self.name);
        let result = match outcome {
            Outcome::Success(reply) => Ok(reply),
            Outcome::Refused(refusal) => {
                Err(ClientError::Refused { command, class: refusal.class, desc: refusal.desc })
            }
            Outcome::NotUnderstood(desc) => Err(ClientError::NotUnderstood { command, desc }),
            Outcome::Closed(source) => Err(ClientError::Closed { doing: command, source }),
            Outcome::Late => Err(self.on_timeout(command)),
        };
        match &result {
            Ok(reply) => self.span.ended(reply.len()),
            Err(error) => self.span.failed(error),
        }
        result
    }

    fn on_timeout(&self, command: Cow<'static, str>) -> ClientError {
        let (sent, no_agent) = self.state();
        self.shared.on_silence(self.heard);
        let after = self.after;
        if no_agent {
            ClientError::NoAgent { command, after }
        } else {
            ClientError::Timeout { command, after, sent }
        }
    }

    async fn outcome(&mut self) -> Outcome {
        poll_fn(|context| {
            let Some(ticket) = self.ticket else { return Poll::Ready(Outcome::Closed(CloseReason::Local)) };
            let outcome = self.shared.lock().pipeline.poll(ticket, context.waker());
            if !matches!(outcome, Poll::Pending | Poll::Ready(Outcome::Late)) {
                self.ticket = None;
            }
            outcome
        })
        .await
    }

    /// Whether the command was sent, and whether it waits for a guest agent that has not shown itself.
    fn state(&self) -> (bool, bool) {
        let core = self.shared.lock();
        let sent = self.ticket.is_none_or(|ticket| core.pipeline.was_sent(ticket));
        (sent, core.pipeline.is_out_of_step())
    }
}

impl Drop for Reply<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let mut core = self.shared.lock();
            core.pipeline.abandon(ticket);
            core.kick();
        }
    }
}
