//! The one task that watches a VM: events, the state they announce, and the end of the process.
//!
//! It sleeps until something happens; no timer runs while the VM is idle. It asks nothing of a QEMU that has said
//! goodbye: one that is cleaning up may crash (SIGSEGV, seen with 10.0) on a command that comes just then.

use std::future::ready;
use std::pin::Pin;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use qmp_client::{Events, EventsError, Liveness, Session};
use qmp_proto::QueryStatus;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep, timeout};

use crate::process::{Process, ProcessExit, Tail, Watcher};
use crate::reason::{ExitReason, LastWords};
use crate::runtime::Residue;
use crate::state::{State, may_change_status};
use crate::trace;

/// How long the last events and lines are waited for when the process is gone. They are there already; only a
/// helper that inherited QEMU's end of the socket or pipe could keep it open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// When QEMU is asked again in a state that it leaves without an event.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// How long a killed process is waited for. The kernel may have gigabytes to free first.
pub(crate) const KILL_LIMIT: Duration = Duration::from_secs(10);

/// How a VM came to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Exit {
    /// Why.
    pub reason: ExitReason,
    /// How QEMU's process ended. Known only of a process that was started here.
    pub process: ProcessExit,
}

/// What the handles and the watching task have in common.
#[derive(Debug)]
pub(crate) struct Watched {
    pub(crate) session: Session,
    /// `None` for an attached QEMU whose process cannot be seen from here.
    pub(crate) process: Option<Arc<Process>>,
    pub(crate) output: Tail,
    state: watch::Sender<State>,
    exit: watch::Sender<Option<Exit>>,
    /// Held from the question to the publishing of its answer, so that no older answer replaces a newer one.
    asking: tokio::sync::Mutex<()>,
    residue: Mutex<Residue>,
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
        })
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

    fn is_passing(&self) -> bool {
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

    /// Publishes the end, once, after removing what the VM left.
    fn end(&self, exit: Exit) {
        self.clean_up();
        trace::ended(self.pid(), &exit.reason);
        self.publish(exit.reason.state());
        self.exit.send_if_modified(|known| {
            let first = known.is_none();
            known.get_or_insert(exit);
            first
        });
    }

    /// Adds files that go when the VM goes.
    pub(crate) fn own_files(&self, files: impl IntoIterator<Item = std::path::PathBuf>) {
        self.residue.lock().unwrap_or_else(PoisonError::into_inner).add(files);
    }

    /// Removes the VM's files and frees its name. May be called again.
    pub(crate) fn clean_up(&self) {
        let residue = std::mem::take(&mut *self.residue.lock().unwrap_or_else(PoisonError::into_inner));
        residue.remove();
    }

    /// Ends a VM at once, blocking for the moment that takes.
    pub(crate) fn kill_blocking(&self) {
        if let Some(process) = &self.process {
            process.kill_blocking(KILL_LIMIT);
        }
        self.clean_up();
    }
}

/// Watches until the VM has ended. `drain` is the task that reads what QEMU prints.
pub(crate) async fn watch_over(
    vm: Arc<Watched>,
    watcher: Option<Watcher>,
    mut events: Events,
    drain: Option<JoinHandle<()>>,
) {
    let mut words = LastWords::default();
    let mut liveness = vm.session.liveness();
    let mut ask = *vm.state.borrow() == State::Unknown;
    let mut asking: Option<Pin<Box<dyn Future<Output = ()> + Send>>> = None;
    let mut open = true;
    // Polled only when the monitor has ended before the process: no timer runs while all is well.
    let mut silence = Box::pin(sleep(Duration::ZERO));
    let mut told = false;
    // Polled only while the state passes.
    let mut passing = Box::pin(sleep(Duration::ZERO));
    let ended = ended(&vm, watcher.as_ref());
    tokio::pin!(ended);
    let exit = loop {
        tokio::select! {
            biased;
            heard = events.recv(), if open => match heard {
                Ok(event) => {
                    words.hear(&event.event);
                    ask |= may_change_status(&event.event);
                }
                Err(EventsError::Missed(_)) => ask = true,
                Err(_) => {
                    open = false;
                    silence.as_mut().reset(Instant::now() + LAST_WORDS);
                }
            },
            exit = &mut ended => break exit,
            Ok(()) = liveness.changed(), if open => {
                if *liveness.borrow_and_update() == Liveness::Responsive {
                    ask = true;
                } else {
                    vm.publish(State::Unresponsive);
                }
            }
            () = &mut silence, if !open && !told => {
                told = true;
                vm.publish(State::Unresponsive);
            }
            () = async { if let Some(asking) = &mut asking { asking.await } }, if asking.is_some() => {
                asking = None;
                passing.as_mut().reset(Instant::now() + ASK_AGAIN);
            }
            () = &mut passing, if open && !ask && asking.is_none() && vm.is_passing() => ask = true,
            // Only when every event at hand is heard: a guest in a reboot loop costs one question, not hundreds.
            () = ready(()), if ask && open && asking.is_none() && !words.are_goodbye() => {
                ask = false;
                let vm = vm.clone();
                // A question without an answer shows in the session's liveness.
                asking = Some(Box::pin(async move { drop(vm.refresh().await) }));
            }
        }
    };
    let rest = async {
        while let Ok(event) = events.recv().await {
            words.hear(&event.event);
        }
    };
    let printed = async {
        if let Some(drain) = drain {
            let _ = drain.await;
        }
    };
    // Too late is no error: what was heard so far counts.
    let _ = timeout(LAST_WORDS, async { tokio::join!(rest, printed) }).await;
    vm.end(Exit { reason: words.reason(exit), process: exit });
}

async fn ended(vm: &Watched, watcher: Option<&Watcher>) -> ProcessExit {
    if let Some(watcher) = watcher {
        return watcher.ended().await;
    }
    // The process is out of sight: the monitor's end is the VM's.
    vm.session.closed().await;
    ProcessExit::Unknown
}
