//! The task that follows a program in the guest.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use tokio::sync::mpsc::error::TryRecvError;
use tokio::sync::{mpsc, oneshot};
use tokio::time::sleep;

use super::exec::{Exec, ExecOutput, Output};
use super::program::{FIRST_PAUSE, Files, Program};
use super::signal::GuestSignal;
use crate::agent::Agent;
use crate::error::ClientError;

/// The number of bytes that are read or written at once.
pub(super) const PIECE: usize = 64 << 10;

/// The longest polling interval.
const LONGEST_PAUSE: Duration = Duration::from_millis(500);

/// How a program's output is delivered.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Way {
    Streamed,
    Collected,
}

/// The messages of the task.
pub(super) enum News {
    Output(Output),
    /// The last message.
    Ended(Result<ExecOutput, ClientError>),
}

/// State shared by the handle and the task.
#[derive(Debug, Default)]
pub(super) struct Shared {
    pub ended: AtomicBool,
    /// The program keeps running when the handle is dropped.
    pub detached: AtomicBool,
}

/// A signal to send, and where to report whether it was sent.
pub(super) type Order = (GuestSignal, oneshot::Sender<Result<bool, ClientError>>);

/// Starts one program and follows it.
pub(super) struct Task {
    pub agent: Agent,
    pub exec: Exec,
    pub way: Way,
    pub inputs: mpsc::Receiver<Vec<u8>>,
    /// Received from `inputs` and not written yet.
    pub waiting: Option<Vec<u8>>,
    pub orders: mpsc::Receiver<Order>,
    /// Received from `orders` and not executed yet.
    pub ordered: Option<Order>,
    pub report: mpsc::Sender<News>,
    pub shared: Arc<Shared>,
}

impl Task {
    /// Runs until the program has ended or its handle was dropped.
    pub async fn run(mut self, started: oneshot::Sender<Result<i64, ClientError>>) {
        let start = match self.way {
            Way::Streamed => Program::streamed(&self.agent, &self.exec).await,
            Way::Collected => {
                Program::collected(&self.agent, &self.exec).await.map(|program| (program, None))
            }
        };
        let (mut program, files) = match start {
            Ok(started) => started,
            Err(error) => return drop(started.send(Err(error))),
        };
        self.exec.stdin = Vec::new();
        if started.send(Ok(program.pid)).is_ok() {
            if let Some(ended) = self.follow(&mut program, files).await {
                self.end();
                // The handle may have been dropped.
                let _ = self.report.send(News::Ended(ended)).await;
                return;
            }
            program.over |= self.shared.detached.load(Ordering::Acquire);
        }
        if !program.over {
            // If this fails, dropping the program tries once more.
            let _ = program.signal("KILL").await;
        }
    }

    /// Handles the end of the program, or of the connection: no more signals can be sent.
    fn end(&mut self) {
        self.shared.ended.store(true, Ordering::Release);
        self.orders.close();
        // Dropping an order replies to it.
        while self.orders.try_recv().is_ok() {}
    }

    /// Follows a program to its end. Returns `None` if its handle was dropped.
    async fn follow(
        &mut self,
        program: &mut Program,
        mut files: Option<Files>,
    ) -> Option<Result<ExecOutput, ClientError>> {
        let (mut step, mut ended) = (FIRST_PAUSE, None);
        loop {
            if self.report.is_closed() {
                return None;
            }
            if let Some((signal, reply)) = self.ordered.take().or_else(|| self.orders.try_recv().ok()) {
                // The caller may have given up.
                let _ = reply.send(program.signal(signal.name()).await);
                step = FIRST_PAUSE;
            }
            let mut quiet = true;
            if let Some(files) = &mut files {
                match self.feed(files).await {
                    Ok(fed) => quiet &= !fed,
                    Err(error) => return Some(Err(error)),
                }
                match self.read(files, ended.is_some()).await {
                    Ok(read) => quiet &= !read,
                    Err(error) => return Some(Err(error)),
                }
            }
            if !quiet {
                step = FIRST_PAUSE;
                continue;
            }
            if let Some(ended) = ended.take() {
                return Some(Ok(ended));
            }
            match program.ended().await {
                Ok(Some(output)) => {
                    // Read once more what was written between the last read and the end.
                    ended = Some(output);
                    self.end();
                    if let Some(files) = &mut files {
                        files.input = None;
                    }
                }
                Ok(None) => {
                    let takes_input = files.as_ref().is_some_and(|files| files.input.is_some());
                    self.rest(&mut step, takes_input).await;
                }
                Err(error) => return Some(Err(error)),
            }
        }
    }

    /// Passes on one piece of input, or the end of it. Returns whether there was any.
    async fn feed(&mut self, files: &mut Files) -> Result<bool, ClientError> {
        let Some(input) = &mut files.input else { return Ok(false) };
        let next = self.waiting.take().map_or_else(|| self.inputs.try_recv(), Ok);
        match next {
            Ok(piece) => input.write(&piece).await?,
            Err(TryRecvError::Empty) => return Ok(false),
            Err(TryRecvError::Disconnected) => files.input = None,
        }
        Ok(true)
    }

    /// Reads one piece of output, if there is room for it. Returns whether there was any. With `last`, waits for room.
    async fn read(&mut self, files: &mut Files, last: bool) -> Result<bool, ClientError> {
        let room = match self.report.try_reserve() {
            Ok(room) => room,
            Err(_) if last => match self.report.reserve().await {
                Ok(room) => room,
                Err(_) => return Ok(false),
            },
            Err(_) => return Ok(false),
        };
        let piece = files.stdout.read(PIECE).await?;
        if !piece.is_empty() {
            room.send(News::Output(Output::Stdout(piece)));
            return Ok(true);
        }
        let piece = files.stderr.read(PIECE).await?;
        let any = !piece.is_empty();
        if any {
            room.send(News::Output(Output::Stderr(piece)));
        }
        Ok(any)
    }

    /// Waits before the agent is polled again, longer each time. Input, room for output and signals end the wait.
    async fn rest(&mut self, step: &mut Duration, takes_input: bool) {
        let Self { inputs, waiting, orders, ordered, report, .. } = self;
        let full = report.capacity() == 0;
        tokio::select! {
            () = sleep(*step) => *step = (*step * 3 / 2).min(LONGEST_PAUSE),
            () = report.closed() => {}
            _ = report.reserve(), if full => {}
            Some(order) = orders.recv() => *ordered = Some(order),
            piece = inputs.recv(), if takes_input => *waiting = piece,
        }
    }
}
