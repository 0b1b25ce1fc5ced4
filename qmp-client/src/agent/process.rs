//! The handle to a program running in the guest.
//!
//! A separate task talks to the agent: it reads the output, passes input on and checks whether the program has ended.
//! So nothing is lost if a future of the handle is dropped, and dropping the handle kills the program.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use tokio::sync::{mpsc, oneshot};

use super::exec::{Exec, ExecOutput, Output};
use super::follow::{News, Order, PIECE, Shared, Task, Way};
use super::signal::GuestSignal;
use crate::agent::Agent;
use crate::error::{ClientError, CloseReason};

/// The number of buffered pieces of output and input.
const PIECES: usize = 4;

/// How long a killed program may take to end.
const DIES: Duration = Duration::from_secs(30);

/// A program running in the guest. Dropping it kills the program; see [`GuestProcess::detach`].
#[must_use = "dropping it kills the program"]
pub struct GuestProcess {
    pid: i64,
    news: mpsc::Receiver<News>,
    /// `None` if there is no input, or no more of it.
    input: Option<mpsc::Sender<Vec<u8>>>,
    orders: mpsc::Sender<Order>,
    shared: Arc<Shared>,
    /// Output that was read and will be returned by [`GuestProcess::wait`].
    collected: ExecOutput,
    limit: usize,
    over: bool,
}

impl std::fmt::Debug for GuestProcess {
    fn fmt(&self, formatter: &mut std::fmt::Formatter) -> std::fmt::Result {
        formatter
            .debug_struct("GuestProcess")
            .field("pid", &self.pid)
            .field("over", &self.over)
            .finish_non_exhaustive()
    }
}

/// Starts a program and the task that follows it. The task does both, so that a program is not lost if the caller stops
/// waiting for its start.
pub(super) async fn spawn(agent: &Agent, exec: &Exec, way: Way) -> Result<GuestProcess, ClientError> {
    if way == Way::Collected && exec.piped_stdin {
        let why = "piped input requires streamed output";
        return Err(ClientError::Unsendable { command: "guest-exec".into(), why });
    }
    let (report, news) = mpsc::channel(PIECES);
    let (input, inputs) = mpsc::channel(PIECES);
    let (orders, ordered) = mpsc::channel(1);
    let (started, start) = oneshot::channel();
    let shared = Arc::new(Shared::default());
    let task = Task {
        agent: agent.clone(),
        exec: exec.clone(),
        way,
        inputs,
        waiting: None,
        orders: ordered,
        ordered: None,
        report,
        shared: shared.clone(),
    };
    tokio::spawn(task.run(started));
    let pid = start.await.unwrap_or_else(|_| Err(gone()))?;
    let input = exec.piped_stdin.then_some(input);
    let (collected, limit) = (ExecOutput::default(), exec.output_limit);
    Ok(GuestProcess { pid, news, input, orders, shared, collected, limit, over: false })
}

/// The runtime of the task has ended.
fn gone() -> ClientError {
    ClientError::Closed { doing: "guest-exec".into(), source: CloseReason::Local }
}

impl GuestProcess {
    /// Returns the program's process id in the guest.
    pub fn id(&self) -> i64 {
        self.pid
    }

    /// Waits for the next piece of output. Returns `None` if the program has ended and all its output was returned.
    ///
    /// Standard output and standard error are each in order, but pieces of one may overtake those of the other. Unread
    /// output accumulates in the guest's `/tmp`.
    ///
    /// # Errors
    ///
    /// - [`ClientError::Closed`] if the connection to the agent ends.
    /// - Those of [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped.
    pub async fn next(&mut self) -> Result<Option<Output>, ClientError> {
        if self.over {
            return Ok(None);
        }
        match self.news.recv().await {
            Some(News::Output(piece)) => Ok(Some(piece)),
            Some(News::Ended(ended)) => {
                self.over = true;
                let ended = ended?;
                (self.collected.code, self.collected.signal) = (ended.code, ended.signal);
                self.collected.truncated |= ended.truncated;
                self.collected.collect(Output::Stdout(ended.stdout), self.limit);
                self.collected.collect(Output::Stderr(ended.stderr), self.limit);
                Ok(None)
            }
            None => {
                self.over = true;
                Err(gone())
            }
        }
    }

    /// Waits until the program has ended, and returns what of its output was not taken yet, up to
    /// [`Exec::output_limit`] bytes of each stream. Closes its standard input.
    ///
    /// # Errors
    ///
    /// As [`GuestProcess::next`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is lost if the future is dropped: the next call goes on.
    pub async fn wait(&mut self) -> Result<ExecOutput, ClientError> {
        self.close_stdin();
        while let Some(piece) = self.next().await? {
            self.collected.collect(piece, self.limit);
        }
        let (code, signal) = (self.collected.code, self.collected.signal);
        let rest = ExecOutput { code, signal, ..ExecOutput::default() };
        Ok(std::mem::replace(&mut self.collected, rest))
    }

    /// Hands over bytes for the program's standard input, and returns how many were taken: the first 64 KiB at most.
    ///
    /// # Errors
    ///
    /// [`ClientError::Stream`] with a broken pipe if the program was not started with [`Exec::piped_stdin`], its input was
    /// closed, or it has ended.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, nothing was taken.
    pub async fn write(&mut self, bytes: &[u8]) -> Result<usize, ClientError> {
        let broken = || ClientError::Stream { source: std::io::ErrorKind::BrokenPipe.into() };
        let input = self.input.as_ref().ok_or_else(broken)?;
        let room = input.reserve().await.map_err(|_| broken())?;
        let count = bytes.len().min(PIECE);
        if count > 0 {
            room.send(bytes[..count].to_vec());
        }
        Ok(count)
    }

    /// Hands over all of `bytes` for the program's standard input.
    ///
    /// # Errors
    ///
    /// As [`GuestProcess::write`].
    ///
    /// # Cancel safety
    ///
    /// Not cancel safe: a part may have been taken if the future is dropped. Use [`GuestProcess::write`].
    pub async fn write_all(&mut self, bytes: &[u8]) -> Result<(), ClientError> {
        let mut rest = bytes;
        while !rest.is_empty() {
            let count = self.write(rest).await?;
            rest = &rest[count..];
        }
        Ok(())
    }

    /// Closes the program's standard input behind what was handed over.
    pub fn close_stdin(&mut self) {
        self.input = None;
    }

    /// Sends a signal to the program and all that it started. False: it has ended.
    ///
    /// The agent cannot do that; a `kill` that it runs in the guest does. It reaches the program's process group, which the
    /// program has to itself where the guest has `setsid`, elsewhere the program alone.
    ///
    /// # Errors
    ///
    /// [`ClientError::Refused`] if the guest has no `/bin/sh`; those of [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the signal may or may not be sent.
    pub async fn signal(&self, signal: GuestSignal) -> Result<bool, ClientError> {
        let (reply, sent) = oneshot::channel();
        if self.orders.send((signal, reply)).await.is_ok()
            && let Ok(sent) = sent.await
        {
            return sent;
        }
        if self.shared.ended.load(Ordering::Acquire) { Ok(false) } else { Err(gone()) }
    }

    /// Kills the program and all that it started, and waits until it has ended.
    ///
    /// # Errors
    ///
    /// - As [`GuestProcess::signal`] and [`GuestProcess::wait`].
    /// - [`ClientError::Timeout`] if it is not gone within 30 s.
    ///
    /// # Cancel safety
    ///
    /// As [`GuestProcess::signal`].
    pub async fn kill(&mut self) -> Result<ExecOutput, ClientError> {
        self.signal(GuestSignal::Kill).await?;
        let late = |_| ClientError::Timeout { command: "guest-exec".into(), after: DIES, sent: true };
        tokio::time::timeout(DIES, self.wait()).await.map_err(late)?
    }

    /// Lets the program run on in the guest, with nobody to read its output.
    pub fn detach(self) {
        self.shared.detached.store(true, Ordering::Release);
    }
}
