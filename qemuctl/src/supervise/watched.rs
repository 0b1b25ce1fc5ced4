//! State shared by the handles to a VM and the task that supervises it.

use std::collections::BTreeSet;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use qmp_client::Session;
use qmp_proto::{AnyEvent, BlockErrorAction, QueryStatus};
use tokio::sync::watch;
use tokio::time::sleep;

use crate::reason::{ExitReason, LastWords};
use crate::runtime::Residue;
use crate::state::State;
use crate::trace;
use qemu_discovery::process::{Process, ProcessExit, Tail, Watcher};

use super::{Exit, KILL_LIMIT};

/// The polling interval for a process that cannot be waited for.
const LOOK_AGAIN: Duration = Duration::from_millis(100);

/// State shared by the handles and the supervising task.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) session: Session,
    /// `None` for an attached QEMU whose process is not visible.
    pub(crate) process: Option<Arc<Process>>,
    pub(crate) output: Tail,
    state: watch::Sender<State>,
    exit: watch::Sender<Option<Exit>>,
    /// Held from a query until its answer is published, so that no older answer replaces a newer one.
    asking: tokio::sync::Mutex<()>,
    residue: Mutex<Residue>,
    words: Mutex<LastWords>,
    failed: Mutex<BTreeSet<String>>,
    /// Whether the supervising task ended before the VM.
    left: watch::Sender<bool>,
    /// Whether this process sent SIGKILL.
    killed: AtomicBool,
}

impl Watched {
    pub(crate) fn new(
        session: Session,
        process: Option<Arc<Process>>,
        output: Tail,
        residue: Residue,
    ) -> Arc<Self> {
        Arc::new(Self {
            session,
            process,
            output,
            state: watch::Sender::new(State::Unknown),
            exit: watch::Sender::new(None),
            asking: tokio::sync::Mutex::new(()),
            residue: Mutex::new(residue),
            words: Mutex::default(),
            failed: Mutex::default(),
            left: watch::Sender::new(false),
            killed: AtomicBool::new(false),
        })
    }

    fn words(&self) -> MutexGuard<'_, LastWords> {
        self.words.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn hear(&self, event: &AnyEvent) {
        self.words().hear(event);
        match event {
            AnyEvent::BlockIoError(error) if error.action == BlockErrorAction::Stop => {
                self.failed_nodes().extend(error.node_name.clone());
            }
            AnyEvent::Resume(_) => self.failed_nodes().clear(),
            _ => {}
        }
    }

    /// The block nodes whose errors have paused the guest, according to events.
    pub(crate) fn failed_nodes(&self) -> MutexGuard<'_, BTreeSet<String>> {
        self.failed.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Whether the VM is unsupervised, because the runtime has ended.
    pub(crate) fn is_left(&self) -> bool {
        *self.left.borrow()
    }

    /// Returns the state. The process shows an end that was not noticed yet.
    pub(crate) fn state(&self) -> State {
        if let Some(exit) = self.exit() {
            return exit.reason.state();
        }
        match self.process.as_ref().and_then(|process| process.reap()) {
            Some(exit) => self.reason(exit).state(),
            None => self.state.borrow().clone(),
        }
    }

    /// Returns how the VM ended, if that is known.
    pub(crate) fn exit(&self) -> Option<Exit> {
        let known = self.exit.borrow().clone();
        if known.is_some() || !self.is_left() {
            return known;
        }
        let exit = self.process.as_ref()?.reap()?;
        self.end(exit);
        self.exit.borrow().clone()
    }

    /// Waits until the VM has ended, in any runtime.
    pub(crate) async fn ended(&self) -> Exit {
        let (mut exits, mut left) = (self.exits(), self.left.subscribe());
        tokio::select! {
            biased;
            exit = exits.wait_for(Option::is_some) => {
                // The sender lives as long as this.
                return exit.ok().and_then(|exit| exit.clone()).unwrap_or_else(Exit::lost);
            }
            _ = left.wait_for(|left| *left) => {}
        }
        loop {
            if let Some(exit) = self.exit() {
                return exit;
            }
            let Some(process) = &self.process else {
                // There is no supervisor to notice its end.
                return Exit::lost();
            };
            // A file descriptor can be registered only once in a runtime, so each wait has its own.
            let same = Process::attach(process.pid()).ok().filter(|same| same.started() == process.started());
            match same.and_then(|same| Watcher::new(same).ok()) {
                Some(watcher) => drop(watcher.ended().await),
                None => sleep(LOOK_AGAIN).await,
            }
        }
    }

    /// Sends SIGKILL to the process.
    pub(crate) fn send_kill(&self, process: &Process) -> std::io::Result<()> {
        process.signal(rustix::process::Signal::KILL)?;
        self.killed.store(true, Ordering::Release);
        Ok(())
    }

    fn reason(&self, exit: ProcessExit) -> ExitReason {
        match self.words().reason(exit) {
            // If the process is not our child, nothing more can be known.
            ExitReason::Lost if self.killed.load(Ordering::Acquire) => {
                ExitReason::Killed { signal: rustix::process::Signal::KILL.as_raw() }
            }
            reason => reason,
        }
    }

    fn pid(&self) -> Option<u32> {
        self.process.as_ref().map(|process| process.pid())
    }

    pub(crate) fn states(&self) -> watch::Receiver<State> {
        self.state.subscribe()
    }

    pub(crate) fn exits(&self) -> watch::Receiver<Option<Exit>> {
        self.exit.subscribe()
    }

    /// Whether QEMU has announced its end.
    pub(super) fn has_said_goodbye(&self) -> bool {
        self.words().are_goodbye()
    }

    /// Marks the VM as unsupervised. If it is still running, its state is unknown from now on.
    pub(super) fn abandon(&self) {
        if self.exit.borrow().is_none() {
            self.left.send_replace(true);
            self.publish(State::Unknown);
        }
    }

    /// Waits until the first state is known.
    pub(crate) async fn known(&self) {
        // The sender lives as long as this.
        let _ = self.states().wait_for(|state| *state != State::Unknown).await;
    }

    /// Asks QEMU for its status and publishes the answer.
    pub(crate) async fn refresh(&self) -> Result<State, qmp_client::ClientError> {
        let _asking = self.asking.lock().await;
        let state = State::from(self.session.execute(QueryStatus {}).await?.status);
        if self.exit.borrow().is_none() {
            self.publish(state.clone());
        }
        Ok(state)
    }

    pub(super) fn is_passing(&self) -> bool {
        self.state.borrow().is_passing()
    }

    pub(crate) fn publish(&self, state: State) {
        self.state.send_if_modified(|current| {
            let differs = *current != state;
            if differs {
                trace::state(self.pid(), &state);
            }
            *current = state;
            differs
        });
    }

    /// Publishes the end, once, after removing the VM's files.
    pub(super) fn end(&self, process: ProcessExit) {
        let usage = self.process.as_ref().and_then(|process| process.usage());
        let exit = Exit { reason: self.reason(process), process, usage };
        self.clean_up();
        trace::ended(self.pid(), &exit.reason);
        self.publish(exit.reason.state());
        self.exit.send_if_modified(|known| {
            let first = known.is_none();
            known.get_or_insert(exit);
            first
        });
    }

    /// Adds files to remove when the VM ends.
    pub(crate) fn own_files(&self, files: impl IntoIterator<Item = std::path::PathBuf>) {
        self.residue.lock().unwrap_or_else(PoisonError::into_inner).add(files);
    }

    /// Removes the VM's files and frees its name. May be called again.
    pub(crate) fn clean_up(&self) {
        let residue = std::mem::take(&mut *self.residue.lock().unwrap_or_else(PoisonError::into_inner));
        residue.remove();
    }

    /// Kills a VM, which blocks for a moment.
    pub(crate) fn kill_blocking(&self) {
        if let Some(process) = &self.process {
            process.kill_blocking(KILL_LIMIT);
        }
        self.clean_up();
    }
}
