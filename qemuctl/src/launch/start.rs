//! The start of one QEMU, step by step. Dropped halfway, it kills what runs and removes what is there.

use std::error::Error as StdError;
use std::io;
use std::os::unix::net::UnixStream;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::error::Error;
use crate::guest::Console;
use crate::process::{FdMapping, Process, ProcessExit, Tail, Watcher, spawn};
use crate::runtime::Residue;
use crate::supervise::KILL_LIMIT;
use crate::trace;

use super::child::ChildSpec;
use super::{Cause, LaunchFailure, Phase};

/// How long the output of a QEMU that has ended is read, and how long one that closed its monitor may take to end.
const LAST_OUTPUT: Duration = Duration::from_secs(1);

/// How many lines of the guest's console an error tells.
const CONSOLE_LINES: usize = 20;

/// A QEMU that has been started and is not yet in anybody's hands.
pub(super) struct Start {
    spec: ChildSpec,
    claim: Claim,
    process: Arc<Process>,
    watcher: Watcher,
    output: Tail,
    drain: JoinHandle<()>,
    console: Option<Console>,
    deadline: Instant,
}

/// Kills the process and removes its files, in this order, unless they are taken out.
struct Claim {
    process: Option<Arc<Process>>,
    residue: Residue,
}

impl Drop for Claim {
    fn drop(&mut self) {
        if let Some(process) = &self.process {
            process.kill_blocking(KILL_LIMIT);
        }
        std::mem::take(&mut self.residue).remove();
    }
}

/// The running QEMU, handed over to its supervisor.
pub(super) struct Started {
    pub(super) process: Arc<Process>,
    pub(super) watcher: Watcher,
    pub(super) output: Tail,
    pub(super) drain: JoinHandle<()>,
    pub(super) residue: Residue,
}

type BoxedError = Box<dyn StdError + Send + Sync>;

impl Start {
    /// Starts the process, and returns it with our end of its monitor.
    pub(super) async fn spawn(
        spec: ChildSpec,
        descriptors: Vec<FdMapping>,
        residue: Residue,
        within: Duration,
    ) -> Result<(Self, UnixStream), Error> {
        let deadline = Instant::now() + within;
        let mut claim = Claim { process: None, residue };
        let pipes = spec.pipes(descriptors);
        let (program, monitor, source) =
            pipes.map_err(|error| spec.failure(Phase::Prepare, Cause::Other, Some(error.into())))?;
        let process = spawn(program).await.map_err(|error| {
            let cause = match error.kind() {
                io::ErrorKind::OutOfMemory => Cause::OutOfMemory,
                _ => Cause::NotExecutable,
            };
            spec.failure(Phase::Spawn, cause, Some(error.into()))
        })?;
        claim.process = Some(process.clone());
        trace::spawned(process.pid());
        let watcher = Watcher::new(process.clone())
            .map_err(|error| spec.failure(Phase::Spawn, Cause::Other, Some(error.into())))?;
        let output = Tail::default();
        let drain = tokio::spawn(output.clone().drain(source));
        Ok((Self { spec, claim, process, watcher, output, drain, console: None, deadline }, monitor))
    }

    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// Has a failure from now on tell what the guest printed last.
    pub(super) fn listen_to(&mut self, console: Option<Console>) {
        self.console = console;
    }

    /// Adds files that go when the VM goes.
    pub(super) fn owns(&mut self, files: impl IntoIterator<Item = PathBuf>) {
        self.claim.residue.add(files);
    }

    /// The files that go when the VM goes.
    pub(super) fn files(&self) -> Vec<PathBuf> {
        self.claim.residue.files().to_vec()
    }

    /// Does a step unless QEMU ends or the deadline passes first; then tells why.
    pub(super) async fn step<T, E>(
        &mut self,
        phase: Phase,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error>
    where
        E: StdError + Send + Sync + 'static,
    {
        let stop = tokio::select! {
            // A step that was done counts, also when the guest has powered off before we came to look.
            biased;
            done = timeout_at(self.deadline, trace::phase(phase, work)) => match done {
                Ok(Ok(value)) => return Ok(value),
                Ok(Err(error)) => Stop::Failed(error.into()),
                Err(_) => Stop::Late,
            },
            exit = self.watcher.ended() => Stop::Ended(exit),
        };
        Err(self.failure(phase, stop).await.into())
    }

    /// Collects everything that tells why the launch failed, and ends QEMU.
    async fn failure(&mut self, phase: Phase, stop: Stop) -> LaunchFailure {
        let exit = match &stop {
            Stop::Ended(exit) => Some(*exit),
            // A QEMU that closed its monitor is about to end by itself: its status tells more than our signal.
            Stop::Failed(_) => timeout(LAST_OUTPUT, self.watcher.ended()).await.ok(),
            Stop::Late => None,
        };
        if exit.is_none() {
            self.process.kill_blocking(KILL_LIMIT);
        }
        // Too late is no error: what was read so far counts.
        let _ = timeout(LAST_OUTPUT, &mut self.drain).await;
        let output = self.spec.last_output(&self.output);
        let console = match &self.console {
            Some(console) => {
                let _ = timeout(LAST_OUTPUT, console.closed()).await;
                console.last_lines(CONSOLE_LINES)
            }
            None => Vec::new(),
        };
        let cause = Cause::from_words(output.iter().map(String::as_str)).unwrap_or(match exit {
            Some(ProcessExit::Signal { number, .. }) => Cause::of_signal(number),
            Some(ProcessExit::Code(0)) => Cause::NotQemu,
            None if matches!(stop, Stop::Late) => Cause::Timeout,
            _ => Cause::Other,
        });
        let source = match stop {
            Stop::Failed(error) => Some(error),
            Stop::Ended(_) | Stop::Late => None,
        };
        let failure = LaunchFailure { exit, output, console, ..self.spec.failure(phase, cause, source) };
        trace::failed(&failure);
        failure
    }

    /// Hands the VM over: from now on its handles decide.
    pub(super) fn finish(mut self) -> Started {
        self.claim.process = None;
        let residue = std::mem::take(&mut self.claim.residue);
        let Self { process, watcher, output, drain, .. } = self;
        Started { process, watcher, output, drain, residue }
    }
}

/// What ended a step early.
enum Stop {
    Ended(ProcessExit),
    Failed(BoxedError),
    Late,
}
