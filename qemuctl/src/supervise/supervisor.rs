//! The task that supervises a VM.
//!
//! ```text
//!                        an event, or missed ones; QEMU answers again;
//!                        100 ms in a state that ends without an event
//!             ┌───────────┐ ─────────────────────────────▶ ┌───────────┐
//!   start ──▶ │   known   │                                │   stale   │
//!             └───────────┘ ◀──── answer ── ┌─────────┐ ◀─ └───────────┘
//!                                           │ asking  │    when all events at hand are heard
//!                                           └─────────┘
//!   the monitor ends  ──▶ deaf: a second later, unless the process has ended by then, the VM is unresponsive
//!   the process ends  ──▶ the rest of events and output is read, and the end is published
//! ```
//!
//! It sleeps until something happens; no timer runs while the VM is idle. It does not query a QEMU that has announced
//! its end, since QEMU may crash on a command that arrives during its cleanup (SIGSEGV, seen with 10.0).
//!
//! It ends early if its runtime does. Handles in other runtimes then watch the process themselves, through its pidfd.

use std::future::{pending, ready};
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;

use qmp_client::{Events, EventsError, Liveness, Session};
use qmp_proto::TimedEvent;
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep_until, timeout};

use crate::state::{State, may_change_status};
use qemu_discovery::process::{ProcessExit, Watcher};

use super::Watched;

/// How long to read the last events and lines after the process has ended. They have arrived already; only a helper
/// process that inherited QEMU's end of the socket or pipe could keep it open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The polling interval in a state that QEMU leaves without an event.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Supervises the VM until it has ended. `drain` is the task that reads QEMU's output.
pub(crate) fn watch_over(
    vm: Arc<Watched>,
    watcher: Option<Watcher>,
    events: Events,
    drain: Option<JoinHandle<()>>,
) -> impl Future<Output = ()> + Send {
    // Created before the task is spawned, since the runtime may end before the task is polled.
    let post = Post(vm.clone());
    async move {
        let mut supervisor = Supervisor::new(vm.clone(), events);
        let exit = supervisor.until(ended(&vm.session, watcher.as_ref())).await;
        supervisor.hear_the_rest(drain).await;
        vm.end(exit);
        drop(post);
    }
}

/// Marks the VM as unsupervised if the task ends before the VM.
struct Post(Arc<Watched>);

impl Drop for Post {
    fn drop(&mut self) {
        self.0.abandon();
    }
}

async fn ended(session: &Session, watcher: Option<&Watcher>) -> ProcessExit {
    if let Some(watcher) = watcher {
        return watcher.ended().await;
    }
    // The process is not visible, so the end of the monitor is taken for the VM's end.
    session.closed().await;
    ProcessExit::Unknown
}

struct Supervisor {
    vm: Arc<Watched>,
    events: Events,
    liveness: watch::Receiver<Liveness>,
    /// Whether something has happened since the last query.
    is_stale: bool,
    /// A pending query.
    question: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// When the last query was answered.
    answered: Instant,
    monitor: Monitor,
}

/// The connection to QEMU.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Monitor {
    Open,
    /// The connection has ended; the process has until this time to end, too.
    Deaf(Instant),
    /// This has been published.
    Told,
}

/// What wakes the supervisor, the most urgent first.
#[expect(clippy::large_enum_variant, reason = "taken apart at once")]
enum Happening {
    Event(Result<TimedEvent, EventsError>),
    Ended(ProcessExit),
    Liveness,
    StillSilent,
    Answered,
    Passing,
    Quiet,
}

impl Supervisor {
    fn new(vm: Arc<Watched>, events: Events) -> Self {
        Self {
            liveness: vm.session.liveness(),
            // A launch may have queried the state already.
            is_stale: *vm.states().borrow() == State::Unknown,
            vm,
            events,
            question: None,
            answered: Instant::now(),
            monitor: Monitor::Open,
        }
    }

    /// Keeps the state up to date until the process ends.
    async fn until(&mut self, ended: impl Future<Output = ProcessExit>) -> ProcessExit {
        tokio::pin!(ended);
        loop {
            match self.next(ended.as_mut()).await {
                Happening::Event(Ok(event)) => {
                    self.vm.hear(&event.event);
                    self.is_stale |= may_change_status(&event.event);
                }
                Happening::Event(Err(EventsError::Missed(_))) | Happening::Passing => self.is_stale = true,
                Happening::Event(Err(_)) => self.monitor = Monitor::Deaf(Instant::now() + LAST_WORDS),
                Happening::Ended(exit) => return exit,
                Happening::Liveness if *self.liveness.borrow_and_update() == Liveness::Responsive => {
                    self.is_stale = true;
                }
                Happening::Liveness => self.vm.publish(State::Unresponsive),
                Happening::StillSilent => {
                    self.monitor = Monitor::Told;
                    self.vm.publish(State::Unresponsive);
                }
                Happening::Answered => {
                    self.question = None;
                    self.answered = Instant::now();
                }
                Happening::Quiet => {
                    self.is_stale = false;
                    let vm = self.vm.clone();
                    // The session's liveness shows that a query is not answered.
                    self.question = Some(Box::pin(async move { drop(vm.refresh().await) }));
                }
            }
        }
    }

    async fn next(&mut self, ended: Pin<&mut impl Future<Output = ProcessExit>>) -> Happening {
        let Self { vm, events, liveness, is_stale, question, answered, monitor } = self;
        let is_open = *monitor == Monitor::Open;
        let may_ask = is_open && question.is_none();
        let silence = async {
            match monitor {
                Monitor::Deaf(until) => sleep_until(*until).await,
                Monitor::Open | Monitor::Told => pending().await,
            }
        };
        let answer = async {
            match question {
                Some(question) => question.await,
                None => pending().await,
            }
        };
        tokio::select! {
            biased;
            event = events.recv(), if is_open => Happening::Event(event),
            exit = ended => Happening::Ended(exit),
            Ok(()) = liveness.changed(), if is_open => Happening::Liveness,
            () = silence => Happening::StillSilent,
            () = answer => Happening::Answered,
            () = sleep_until(*answered + ASK_AGAIN), if may_ask && !*is_stale && vm.is_passing() => Happening::Passing,
            // Only after all available events were read, so that a guest in a reboot loop causes one query instead of
            // hundreds.
            () = ready(()), if may_ask && *is_stale && !vm.has_said_goodbye() => Happening::Quiet,
        }
    }

    /// Reads the rest of QEMU's events and output. A timeout is not an error: what was read so far is used.
    async fn hear_the_rest(&mut self, drain: Option<JoinHandle<()>>) {
        let events = async {
            while let Ok(event) = self.events.recv().await {
                self.vm.hear(&event.event);
            }
        };
        let printed = async {
            if let Some(drain) = drain {
                let _ = drain.await;
            }
        };
        let _ = timeout(LAST_WORDS, async { tokio::join!(events, printed) }).await;
    }
}
