//! The start of one QEMU, step by step. Dropped halfway, it kills what runs and removes what is there.

use std::error::Error as StdError;
use std::io;
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::time::Duration;

use nix::errno::Errno;
use qmp_client::Session;
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout, timeout_at};

use crate::channel::Console;
use crate::error::{Cause, Error, LaunchFailure, Phase};
use crate::runtime::Residue;
use crate::supervise::KILL_LIMIT;
use crate::trace;
use qemu_discovery::process::{FdMapping, Process, ProcessExit, Tail, Watcher, spawn};

use super::child::ChildSpec;
use super::tie::{self, Untied};

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
pub(super) struct Claim {
    process: Option<Arc<Process>>,
    pub(super) residue: Residue,
}

impl Claim {
    pub(super) fn new(residue: Residue) -> Self {
        Self { process: None, residue }
    }
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
        mut spec: ChildSpec,
        descriptors: Vec<FdMapping>,
        mut claim: Claim,
        timeout: Duration,
    ) -> Result<(Self, UnixStream), Error> {
        let deadline = Instant::now() + timeout;
        let pipes = spec.pipes(descriptors);
        let (program, monitor, source) = pipes
            .map_err(|error| spec.failure(Phase::Prepare, Cause::of_io(error.io()), Some(error.into())))?;
        let process = spawn(program).await.map_err(|error| {
            let cause = match error.kind() {
                io::ErrorKind::NotFound | io::ErrorKind::PermissionDenied | io::ErrorKind::NotADirectory => {
                    Cause::NotExecutable
                }
                _ if error.raw_os_error() == Some(Errno::ENOEXEC as i32) => Cause::NotExecutable,
                _ => Cause::of_io(&error),
            };
            let source: BoxedError = match spec.longest_argument() {
                Some(longest) if cause == Cause::CommandTooLong => format!("{error} ({longest})").into(),
                _ => error.into(),
            };
            spec.failure(Phase::Spawn, cause, Some(source))
        })?;
        claim.process = Some(process.clone());
        trace::spawned(process.pid());
        let watcher = Watcher::new(process.clone())
            .map_err(|error| spec.failure(Phase::Spawn, Cause::of_io(&error), Some(error.into())))?;
        let output = Tail::default();
        let drain = tokio::spawn(output.clone().drain(source));
        Ok((Self { spec, claim, process, watcher, output, drain, console: None, deadline }, monitor))
    }

    pub(super) fn process(&self) -> &Process {
        &self.process
    }

    /// Has a failure from now on tell what the guest printed last.
    pub(super) fn listen_to(&mut self, console: Console) {
        self.console = Some(console);
    }

    /// Opens the session. Refuses a QEMU that is a child of what was started, and one that would outlive this process
    /// although it `ends_with_us`.
    pub(super) async fn open_session(
        &mut self,
        monitor: UnixStream,
        options: &qmp_client::Options,
        ends_with_us: bool,
    ) -> Result<Session, Error> {
        let process = self.process.clone();
        self.step(Phase::Handshake, async {
            let spoken = tie::spoken_by(process.pid(), monitor).await;
            if let Err(Untied::Wrapped(speaker)) = &spoken
                && let Ok(qemu) = Process::attach(*speaker)
            {
                qemu.kill_blocking(KILL_LIMIT);
            }
            let monitor = spoken?;
            process.confirm();
            let session = Session::from_unix_stream(monitor, options).await?;
            if ends_with_us {
                tie::check(process.pid())?;
            }
            Ok::<_, BoxedError>(session)
        })
        .await
    }

    /// Does a step unless QEMU ends or the deadline passes first; then tells why.
    pub(super) async fn step<T, E>(
        &mut self,
        phase: Phase,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Error>
    where
        E: Into<BoxedError>,
    {
        match self.attempt(phase, work).await {
            Ok(value) => Ok(value),
            Err(stop) => {
                let exit = self.exit(&stop).await;
                Err(self.failure(phase, stop, exit).await.into())
            }
        }
    }

    /// Lets the guest go. `None` if QEMU has ended meanwhile: from here on that is how the VM ended, no failure to start it.
    /// A guest may be through before QEMU has answered.
    pub(super) async fn let_go<T, E>(
        &mut self,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<Option<T>, Error>
    where
        E: Into<BoxedError>,
    {
        let stop = match self.attempt(Phase::Run, work).await {
            Ok(value) => return Ok(Some(value)),
            Err(stop) => stop,
        };
        match self.exit(&stop).await {
            Some(_) => {
                // A log is read now, since it goes when the VM goes.
                self.spec.last_output(&self.output);
                Ok(None)
            }
            None => Err(self.failure(Phase::Run, stop, None).await.into()),
        }
    }

    async fn attempt<T, E>(
        &mut self,
        phase: Phase,
        work: impl Future<Output = Result<T, E>>,
    ) -> Result<T, Stop>
    where
        E: Into<BoxedError>,
    {
        tokio::select! {
            // A step that was done counts, also when the guest has powered off before we came to look.
            biased;
            done = timeout_at(self.deadline, trace::phase(phase, work)) => match done {
                Ok(Ok(value)) => Ok(value),
                Ok(Err(error)) => Err(Stop::Failed(error.into())),
                Err(_) => Err(Stop::Late),
            },
            exit = self.watcher.ended() => Err(Stop::Ended(exit)),
        }
    }

    /// How QEMU ended, if it has.
    async fn exit(&self, stop: &Stop) -> Option<ProcessExit> {
        match stop {
            Stop::Ended(exit) => Some(*exit),
            Stop::Failed(error) if error.is::<Untied>() => None,
            // A QEMU that closed its monitor is about to end by itself: its status tells more than our signal.
            Stop::Failed(_) => timeout(LAST_OUTPUT, self.watcher.ended()).await.ok(),
            Stop::Late => None,
        }
    }

    /// Collects everything that tells why the launch failed, and ends QEMU.
    async fn failure(&mut self, phase: Phase, stop: Stop, exit: Option<ProcessExit>) -> LaunchFailure {
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
        let untied = match &stop {
            Stop::Failed(error) => error.downcast_ref().and_then(Untied::cause),
            _ => None,
        };
        let cause =
            untied.or_else(|| Cause::from_words(output.iter().map(String::as_str))).unwrap_or(match exit {
                Some(ProcessExit::Signal { number, .. }) => Cause::of_signal(number),
                Some(ProcessExit::Code(0)) => Cause::NotQemu,
                None if matches!(stop, Stop::Late) => Cause::Timeout,
                _ => Cause::Other,
            });
        let source = match stop {
            // That a QEMU which has ended closed its monitor is no cause.
            Stop::Failed(error) if exit.is_none() => Some(error),
            _ => None,
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
