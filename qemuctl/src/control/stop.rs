//! Ending a VM as gently as possible, in bounded time.

use std::fmt;
use std::time::Duration;

use qmp_client::{ClientError, Events, EventsError};
use qmp_proto::event::VserportChange;
use qmp_proto::qga::{GuestPing, GuestShutdown};
use qmp_proto::{AnyEvent, Command, Cont, Quit, SystemPowerdown, SystemWakeup};
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until, timeout, timeout_at};

use crate::error::Error;
use crate::instance::Instance;
use crate::reason::ExitReason;
use crate::state::State;
use crate::supervise::KILL_LIMIT;

/// The first interval before the power button is pressed again; it doubles each time. A guest that is still booting
/// ignores the first press.
const PRESS_AGAIN: Duration = Duration::from_secs(1);
/// The longest interval between two presses.
const PRESS_AT_LEAST: Duration = Duration::from_secs(8);
/// How long QEMU may take to end after `quit`, including writing its caches.
const QEMU_ENDS: Duration = Duration::from_secs(10);
/// How long to wait for the guest agent to accept the request.
const AGENT: Duration = Duration::from_secs(5);
/// The timeout of each QMP command during the shutdown.
const COMMAND: Duration = Duration::from_secs(2);
/// Longer than any timeout.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The step that ended a VM, in order of severity.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum StopStep {
    /// It had already ended.
    AlreadyEnded,
    /// The guest shut down through its agent.
    Agent,
    /// The guest shut down after the power button was pressed.
    PowerButton,
    /// QEMU was stopped by `quit`.
    Quit,
    /// QEMU was killed by SIGKILL.
    Kill,
}

impl fmt::Display for StopStep {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyEnded => "it had already ended",
            Self::Agent => "by its agent",
            Self::PowerButton => "by the power button",
            Self::Quit => "by `quit`",
            Self::Kill => "by SIGKILL",
        })
    }
}

/// The outcome of asking the guest to shut down.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GuestAnswer {
    /// The guest was not asked: the timeout was 0, or the guest could not react.
    NotAsked,
    /// The guest shut down, or ended by itself in another way.
    ShutDown,
    /// The guest did not shut down in time. QEMU was stopped, which is like a power cut for the guest.
    Ignored,
}

/// How a VM was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopOutcome {
    /// The step that ended it.
    pub step: StopStep,
    /// The exit reason.
    pub reason: ExitReason,
    /// The guest's reaction.
    pub guest: GuestAnswer,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for StopOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        match self.guest {
            GuestAnswer::Ignored => {
                write!(f, "the guest did not shut down, QEMU was stopped ({}, {seconds:.1} s)", self.step)
            }
            _ => write!(f, "{} ({}, {seconds:.1} s)", self.reason, self.step),
        }
    }
}

/// The deadlines for the guest: a later one applies once it has begun to shut down.
struct Patience {
    began: Instant,
    timeout: Duration,
    /// The guest has closed a channel since it was asked, because the program that used it, such as its agent, has
    /// ended.
    shuts_down: bool,
    channels: Events,
    states: watch::Receiver<State>,
}

/// What happened to the guest.
enum Seen {
    /// It has shut down.
    Over,
    /// It cannot continue, so it cannot shut down, either.
    Stuck,
    /// Nothing until the deadline.
    Nothing,
}

impl Patience {
    fn end(&self) -> Instant {
        after(self.began, if self.shuts_down { self.timeout.saturating_mul(2) } else { self.timeout })
    }

    /// Waits for the guest to shut down or fail, at most until `deadline`.
    async fn watch(&mut self, deadline: Instant) -> Seen {
        loop {
            tokio::select! {
                biased;
                state = self.states.wait_for(|state| state.is_over() || is_stuck(state)) => {
                    return match state {
                        Ok(state) if is_stuck(&state) => Seen::Stuck,
                        _ => Seen::Over,
                    };
                }
                event = self.channels.recv() => match event {
                    Ok(event) => self.shuts_down |= matches!(
                        event.event,
                        AnyEvent::VserportChange(VserportChange { open: false, .. })
                    ),
                    Err(EventsError::Missed(_)) => {}
                    // QEMU closes its monitor a moment before it ends.
                    Err(_) => return Seen::Over,
                },
                () = sleep_until(deadline) => return Seen::Nothing,
            }
        }
    }
}

fn after(begin: Instant, time: Duration) -> Instant {
    begin.checked_add(time).unwrap_or_else(|| begin + FOR_EVER)
}

/// Whether a guest cannot continue.
fn is_stuck(state: &State) -> bool {
    matches!(state, State::IoError | State::InternalError | State::GuestPanicked | State::PostMigrate)
}

/// # Stopping
impl Instance {
    /// Ends the VM: asks the guest to shut down within `timeout`, then stops QEMU, and finally kills it.
    ///
    /// The steps are: the guest agent if there is one, the power button (pressed repeatedly, at increasing intervals),
    /// QEMU's `quit`, and SIGKILL. A guest that closes a channel after it was asked, as happens when its agent ends, is
    /// shutting down and gets twice the time. A paused guest is resumed first, and a suspended one is woken. A guest
    /// that has never run or cannot continue is not asked, and with a `timeout` of zero no guest is. Returns as soon
    /// as QEMU has ended; [`StopOutcome::guest`] says whether the guest shut down.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if SIGKILL does not end QEMU within 10 s because it hangs in the kernel, or if the process of
    /// an attached VM is not visible and QEMU does not quit.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, no further steps are taken; the guest may still shut down.
    pub async fn stop(&self, timeout: Duration) -> Result<StopOutcome, Error> {
        let began = Instant::now();
        // If the runtime that supervised the VM has ended, a new connection is needed.
        let fresh = match self.socket() {
            Some(socket) if self.vm().is_left() && self.exit_reason().is_none() => {
                Self::attach(socket).await.ok()
            }
            _ => None,
        };
        let (step, guest) = fresh.as_ref().unwrap_or(self).climb(began, timeout).await?;
        let reason = self.wait_for_exit("stop", KILL_LIMIT).await?.reason;
        // The guest may have shut down just before QEMU quit.
        let guest = match &reason {
            ExitReason::GuestShutdown if guest == GuestAnswer::Ignored => GuestAnswer::ShutDown,
            _ => guest,
        };
        Ok(StopOutcome { step, reason, guest, took: began.elapsed() })
    }

    /// Kills QEMU at once, like a power cut, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if it has not ended after 10 s, [`Error::Unsupported`] if the process is not known (see
    /// [`attach`](Self::attach)), [`Error::Io`] if there is no permission to signal it.
    pub async fn kill(&self) -> Result<ExitReason, Error> {
        self.kill_process("killing")?;
        self.wait_for_exit("kill", KILL_LIMIT).await.map(|exit| exit.reason)
    }

    /// Takes one step after the other until QEMU has ended. Returns the last step, and the guest's reaction.
    async fn climb(&self, began: Instant, timeout: Duration) -> Result<(StopStep, GuestAnswer), Error> {
        if self.exit_reason().is_some() {
            return Ok((StopStep::AlreadyEnded, GuestAnswer::NotAsked));
        }
        let mut answer = GuestAnswer::NotAsked;
        if !timeout.is_zero() && self.wants_asking().await {
            answer = GuestAnswer::Ignored;
            let channels = self.events_of::<VserportChange>();
            let states = self.states();
            let mut patience = Patience { began, timeout, shuts_down: false, channels, states };
            let (mut step, mut seen) = (StopStep::Agent, self.ask_agent(&mut patience).await);
            if matches!(seen, Seen::Nothing) {
                (step, seen) = (StopStep::PowerButton, self.ask_guest(&mut patience).await);
            }
            if matches!(seen, Seen::Over) {
                answer = GuestAnswer::ShutDown;
                // With `-no-shutdown`, QEMU does not end after the guest has shut down.
                if self.ended_by(Instant::now() + COMMAND).await {
                    return Ok((step, answer));
                }
            }
        }
        // QEMU may end before it replies, so the reply is ignored.
        let _ = self.brief(Quit {}).await;
        if self.ended_by(Instant::now() + QEMU_ENDS).await {
            return Ok((StopStep::Quit, answer));
        }
        self.kill_process("stopping")?;
        Ok((StopStep::Kill, answer))
    }

    /// Resumes or wakes the guest if necessary. Returns whether it can be asked.
    async fn wants_asking(&self) -> bool {
        let woken = match timeout(COMMAND, self.query_state()).await {
            Ok(Ok(State::Running)) => return true,
            // For example after a snapshot could not be restored, or after a disk error or a watchdog timeout.
            Ok(Ok(State::Paused | State::RestoreVm | State::IoError | State::Watchdog)) => {
                self.brief(Cont {}).await
            }
            Ok(Ok(State::Suspended)) => self.brief(SystemWakeup {}).await,
            _ => return false,
        };
        // The current state has to be known before the guest is watched.
        woken.is_ok() && matches!(timeout(COMMAND, self.query_state()).await, Ok(Ok(_)))
    }

    /// Asks the guest agent, if it answers, to shut the guest down.
    async fn ask_agent(&self, patience: &mut Patience) -> Seen {
        if self.agent_socket().is_none() {
            return Seen::Nothing;
        }
        let asked = async {
            let agent = self.agent().await?;
            agent.execute_timeout(GuestPing {}, COMMAND).await?;
            agent.execute_unanswered(GuestShutdown { mode: Some("powerdown".to_owned()) }, COMMAND).await?;
            Ok::<_, Error>(())
        };
        if !matches!(timeout(AGENT, asked).await, Ok(Ok(()))) {
            return Seen::Nothing;
        }
        // The agent has accepted: wait for half of the time, or for all of it once the guest has begun to shut down.
        let half = after(Instant::now(), patience.end().saturating_duration_since(Instant::now()) / 2);
        match patience.watch(half).await {
            Seen::Nothing if patience.shuts_down => patience.watch(patience.end()).await,
            seen => seen,
        }
    }

    /// Presses the power button repeatedly until the guest has shut down or the time is up.
    async fn ask_guest(&self, patience: &mut Patience) -> Seen {
        let mut pause = PRESS_AGAIN;
        while Instant::now() < patience.end() {
            if self.brief(SystemPowerdown {}).await.is_err() {
                // It may just have ended.
                let ended = self.ended_by(Instant::now() + COMMAND).await;
                return if ended { Seen::Over } else { Seen::Nothing };
            }
            let again = patience.end().min(Instant::now() + pause);
            pause = PRESS_AT_LEAST.min(pause * 2);
            match patience.watch(again).await {
                Seen::Nothing => {}
                seen => return seen,
            }
        }
        Seen::Nothing
    }

    async fn brief<C: Command>(&self, command: C) -> Result<C::Return, ClientError> {
        self.qmp().call(command).timeout(COMMAND).send().await
    }

    async fn ended_by(&self, deadline: Instant) -> bool {
        timeout_at(deadline, self.wait()).await.is_ok()
    }

    fn kill_process(&self, action: &'static str) -> Result<(), Error> {
        let Some(process) = &self.vm().process else {
            return Err(Error::Unsupported {
                action,
                name: self.name().to_owned(),
                reason: "the process behind its monitor is not known to be a QEMU of this host".to_owned(),
            });
        };
        self.vm().send_kill(process).map_err(|source| Error::Io {
            action: "signal the process",
            path: format!("/proc/{}", process.pid()).into(),
            source,
        })
    }
}
