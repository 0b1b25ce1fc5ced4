//! The part of a handle that QEMU's monitor and the guest agent have in common: one command there and back.

use std::borrow::Cow;
use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;
use std::time::Duration;

use serde_json::Value;
use tokio::runtime::Handle;
use tokio::sync::watch;
use tokio::time::Instant;

use qmp_proto::Command;

use crate::command;
use crate::error::{ClientError, CloseReason};
use crate::events::{Hub, Limits};
use crate::exchange::{Exchange, Outcome, Ticket};
use crate::framing::{Framer, Kept};
use crate::link::{Link, Liveness, Writer};
use crate::options::Options;
use crate::outgoing::{Orphan, Outgoing};
use crate::task::{self, CloseOnDrop, Reader};
use crate::trace::CommandSpan;

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

/// One connection as its handles hold it. The connection ends when the last of them is dropped.
pub(crate) struct Line {
    pub link: Arc<Link>,
    pub passes_fds: bool,
    /// The runtime that serves the connection.
    home: tokio::runtime::Id,
    command_deadline: Duration,
}

impl Drop for Line {
    fn drop(&mut self) {
        let mut core = self.link.lock();
        core.abandoned = true;
        if let Some(task) = core.task.take() {
            task.wake();
        }
    }
}

impl Line {
    /// Starts the task that serves the connection.
    pub(crate) fn start(
        exchange: Exchange,
        reader: Reader,
        writer: Writer,
        framer: Framer,
        options: &Options,
    ) -> Self {
        let passes_fds = matches!(writer, Writer::Unix(_));
        let limits = Limits { events: options.event_backlog.max(1), bytes: options.event_backlog_bytes };
        let link = Arc::new(Link::new(exchange, writer, Hub::new(limits)));
        tokio::spawn(task::run(CloseOnDrop(Arc::clone(&link)), reader, framer));
        let home = Handle::current().id();
        Self { link, passes_fds, home, command_deadline: options.command }
    }

    pub(crate) fn liveness(&self) -> watch::Receiver<Liveness> {
        self.link.liveness.subscribe()
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
    ) -> impl Future<Output = Result<Kept, ClientError>> + Send + use<'_> {
        let reply = self.submit(request, deadline);
        async move { reply?.wait().await }
    }

    fn submit(&self, request: Request, deadline: Option<Duration>) -> Result<Reply<'_>, ClientError> {
        let Request { name, command } = request;
        let span = CommandSpan::new(&name, command.bytes.len());
        let large = deadline.is_none() && command.bytes.len() > LARGE;
        let after = deadline.unwrap_or(self.command_deadline);
        let mut core = self.link.lock();
        match core.exchange.submit(command) {
            Ok(ticket) => {
                core.kick();
                if let Some(until) = Instant::now().checked_add(after) {
                    core.exchange.wait_until(ticket, until, large.then_some(after));
                    core.ring_by(until);
                }
                let heard = core.heard;
                drop(core);
                Ok(Reply { line: self, name, span, ticket: Some(ticket), heard, after })
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
    line: &'a Line,
    name: Cow<'static, str>,
    span: CommandSpan,
    ticket: Option<Ticket>,
    /// How much had been heard when the command was made.
    heard: u64,
    after: Duration,
}

impl Reply<'_> {
    async fn wait(mut self) -> Result<Kept, ClientError> {
        let away = Handle::try_current().is_ok_and(|runtime| runtime.id() != self.line.home);
        let mut outcome = None;
        // The runtime that serves the connection may stand still, and with it the connection's own timer.
        while outcome.is_none() && away {
            match tokio::time::timeout(self.after, self.outcome()).await {
                Ok(known) => outcome = Some(known),
                Err(_) => self.line.link.expire(),
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
        self.line.link.on_silence(self.heard);
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
            let outcome = self.line.link.lock().exchange.poll(ticket, context.waker());
            if !matches!(outcome, Poll::Pending | Poll::Ready(Outcome::Late)) {
                self.ticket = None;
            }
            outcome
        })
        .await
    }

    /// Whether the command was sent, and whether it waits for a guest agent that has not shown itself.
    fn state(&self) -> (bool, bool) {
        let core = self.line.link.lock();
        let sent = self.ticket.is_none_or(|ticket| core.exchange.was_sent(ticket));
        (sent, core.exchange.is_out_of_step())
    }
}

impl Drop for Reply<'_> {
    fn drop(&mut self) {
        if let Some(ticket) = self.ticket.take() {
            let mut core = self.line.link.lock();
            core.exchange.abandon(ticket);
            core.kick();
        }
    }
}
