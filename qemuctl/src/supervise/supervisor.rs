//! The one task that watches a VM.
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
//! It sleeps until something happens; no timer runs while the VM is idle. It asks nothing of a QEMU that has said
//! goodbye: one that is cleaning up may crash (SIGSEGV, seen with 10.0) on a command that comes just then.
//!
//! It ends early when its runtime does. Handles in other runtimes then look at the process themselves: its pidfd tells
//! the end in any of them.

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

/// How long the last events and lines are waited for when the process is gone. They are there already; only a
/// helper that inherited QEMU's end of the socket or pipe could keep it open.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// When QEMU is asked again in a state that it leaves without an event.
const ASK_AGAIN: Duration = Duration::from_millis(100);

/// Watches until the VM has ended. `drain` is the task that reads what QEMU prints.
pub(crate) fn watch_over(
    vm: Arc<Watched>,
    watcher: Option<Watcher>,
    events: Events,
    drain: Option<JoinHandle<()>>,
) -> impl Future<Output = ()> + Send {
    // Made at once: the runtime may end before the task has been looked at.
    let post = Post(vm.clone());
    async move {
        let mut supervisor = Supervisor::new(vm.clone(), events);
        let exit = supervisor.until(ended(&vm.session, watcher.as_ref())).await;
        supervisor.hear_the_rest(drain).await;
        vm.end(exit);
        drop(post);
    }
}

/// Tells when the watching task goes before the VM.
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
    // The process is out of sight: the monitor's end is the VM's.
    session.closed().await;
    ProcessExit::Unknown
}

struct Supervisor {
    vm: Arc<Watched>,
    events: Events,
    liveness: watch::Receiver<Liveness>,
    /// Whether something has happened since QEMU was asked for the state.
    is_stale: bool,
    /// A question on its way to QEMU.
    question: Option<Pin<Box<dyn Future<Output = ()> + Send>>>,
    /// When the last question was answered.
    answered: Instant,
    monitor: Monitor,
}

/// The way to QEMU.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Monitor {
    Open,
    /// It has ended before the process, which has until then to follow.
    Deaf(Instant),
    /// That has been published.
    Told,
}

/// What the supervisor wakes up for, the most urgent first.
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
            // A launch may have asked already.
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
                    // A question without an answer shows in the session's liveness.
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
            // Only when every event at hand is heard: a guest in a reboot loop costs one question, not hundreds.
            () = ready(()), if may_ask && *is_stale && !vm.has_said_goodbye() => Happening::Quiet,
        }
    }

    /// Reads what QEMU has sent and printed before its end. Too late is no error: what was heard so far counts.
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
