//! Ending a VM: as gently as it lets us, and in bounded time.

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

/// The power button is pressed again after this, then after twice as long, and so on: a guest that still boots
/// does not hear it the first time.
const PRESS_AGAIN: Duration = Duration::from_secs(1);
/// The longest pause between two presses.
const PRESS_AT_LEAST: Duration = Duration::from_secs(8);
/// How long QEMU may take to end after `quit`: it writes its caches first.
const QEMU_ENDS: Duration = Duration::from_secs(10);
/// How long the guest's agent may take to be reached and asked.
const AGENT: Duration = Duration::from_secs(5);
/// How long a command on the way down may take. A QEMU that is that slow is not waited for.
const COMMAND: Duration = Duration::from_secs(2);
/// Longer than any guest is waited for.
const FOR_EVER: Duration = Duration::from_secs(100 * 365 * 24 * 3600);

/// The step of the ladder that ended a VM.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub enum Rung {
    /// It had ended before.
    AlreadyEnded,
    /// The guest's agent shut the guest down.
    Agent,
    /// The guest obeyed the power button.
    PowerButton,
    /// QEMU was told to quit.
    Quit,
    /// Nothing but SIGKILL helped.
    Kill,
}

impl fmt::Display for Rung {
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

/// What became of the request to shut down that a guest gets first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum GuestAnswer {
    /// The guest was not asked: there was no time for it, or it could not have heard.
    NotAsked,
    /// The guest has shut down, or ended in another way by itself.
    ShutDown,
    /// The guest has not shut down in time. QEMU was stopped under it, which for the guest is a power cut.
    Ignored,
}

/// How a VM was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopOutcome {
    /// What it took.
    pub rung: Rung,
    /// Why QEMU ended, by its own account.
    pub reason: ExitReason,
    /// What the guest did.
    pub guest: GuestAnswer,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for StopOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.took.as_secs_f64();
        match self.guest {
            GuestAnswer::Ignored => {
                write!(f, "the guest did not shut down, QEMU was stopped ({}, {seconds:.1} s)", self.rung)
            }
            _ => write!(f, "{} ({}, {seconds:.1} s)", self.reason, self.rung),
        }
    }
}

/// How long a guest is waited for: longer if it shows that it is shutting down.
struct Patience {
    began: Instant,
    limit: Duration,
    /// The guest has closed a channel since it was asked: the program there, such as its agent, has ended.
    shuts_down: bool,
    channels: Events,
    states: watch::Receiver<State>,
}

/// What was seen of the guest.
enum Seen {
    /// It has shut down.
    Over,
    /// It cannot go on, and so it cannot shut down.
    Stuck,
    /// Nothing until the deadline.
    Nothing,
}

impl Patience {
    fn end(&self) -> Instant {
        after(self.began, if self.shuts_down { self.limit.saturating_mul(2) } else { self.limit })
    }

    /// Watches the guest until something has become of it, at most until `deadline`.
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
                    // QEMU closes its monitor a moment before it has ended.
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

/// Whether a guest has stopped for good where it is.
fn is_stuck(state: &State) -> bool {
    matches!(state, State::IoError | State::InternalError | State::GuestPanicked | State::PostMigrate)
}

impl Instance {
    /// Ends the VM: asks the guest for up to `patience`, then QEMU, then the kernel.
    ///
    /// The ladder: the guest's agent where there is one, the power button (pressed again
    /// and again, ever less often), QEMU's `quit`, SIGKILL. A guest that has closed a channel since it was asked, as its agent
    /// does when it ends, is shutting down, and gets twice the time. A paused guest is resumed first, a sleeping one is woken, so
    /// that it can obey; one that has never run, or cannot go on, is not asked, and with no patience none is. Returns as soon
    /// as QEMU has ended; [`StopOutcome::guest`] tells whether the guest obeyed.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if even SIGKILL does not end QEMU within 10 s (it hangs in the kernel), or if the
    /// process of an attached VM cannot be seen from here and QEMU does not obey.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the VM stays on the rung it was on: the guest may still shut down.
    pub async fn stop(&self, patience: Duration) -> Result<StopOutcome, Error> {
        let began = Instant::now();
        // Without the runtime that watched it, a connection of this runtime's own is needed.
        let fresh = match self.socket() {
            Some(socket) if self.vm().is_left() && self.exit_reason().is_none() => {
                Self::attach(socket).await.ok()
            }
            _ => None,
        };
        let (rung, guest) = fresh.as_ref().unwrap_or(self).climb(began, patience).await?;
        let reason = self.wait_for_exit("stop", KILL_LIMIT).await?.reason;
        // It may have shut down just when QEMU was told to quit.
        let guest = match &reason {
            ExitReason::GuestShutdown if guest == GuestAnswer::Ignored => GuestAnswer::ShutDown,
            _ => guest,
        };
        Ok(StopOutcome { rung, reason, guest, took: began.elapsed() })
    }

    /// Kills QEMU at once, as a power cut would, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if it is still there after 10 s, [`Error::Unsupported`] if the process is not known
    /// (see [`attach`](Self::attach)), [`Error::Io`] if it may not be signalled.
    pub async fn kill(&self) -> Result<ExitReason, Error> {
        self.kill_process("killing")?;
        self.wait_for_exit("kill", KILL_LIMIT).await.map(|exit| exit.reason)
    }

    /// Goes up the ladder until QEMU has ended; tells the rung, and what the guest did.
    async fn climb(&self, began: Instant, limit: Duration) -> Result<(Rung, GuestAnswer), Error> {
        if self.exit_reason().is_some() {
            return Ok((Rung::AlreadyEnded, GuestAnswer::NotAsked));
        }
        let mut answer = GuestAnswer::NotAsked;
        if !limit.is_zero() && self.wants_asking().await {
            answer = GuestAnswer::Ignored;
            let channels = self.events_of::<VserportChange>();
            let states = self.states();
            let mut patience = Patience { began, limit, shuts_down: false, channels, states };
            let (mut rung, mut seen) = (Rung::Agent, self.ask_agent(&mut patience).await);
            if matches!(seen, Seen::Nothing) {
                (rung, seen) = (Rung::PowerButton, self.ask_guest(&mut patience).await);
            }
            if matches!(seen, Seen::Over) {
                answer = GuestAnswer::ShutDown;
                // A VM that is told to stay after its guest's end (`-no-shutdown`) does.
                if self.ended_by(Instant::now() + COMMAND).await {
                    return Ok((rung, answer));
                }
            }
        }
        // The reply may be lost in QEMU's haste; its end is what counts.
        let _ = self.brief(Quit {}).await;
        if self.ended_by(Instant::now() + QEMU_ENDS).await {
            return Ok((Rung::Quit, answer));
        }
        self.kill_process("stopping")?;
        Ok((Rung::Kill, answer))
    }

    /// Whether the guest can be asked; brings it to where it can.
    async fn wants_asking(&self) -> bool {
        let woken = match timeout(COMMAND, self.query_state()).await {
            Ok(Ok(State::Running)) => return true,
            // So stands a guest after a snapshot could not be restored, or until its disk or watchdog was seen to.
            Ok(Ok(State::Paused | State::RestoreVm | State::IoError | State::Watchdog)) => {
                self.brief(Cont {}).await
            }
            Ok(Ok(State::Suspended)) => self.brief(SystemWakeup {}).await,
            _ => return false,
        };
        // The newest state is known before the guest is watched.
        woken.is_ok() && matches!(timeout(COMMAND, self.query_state()).await, Ok(Ok(_)))
    }

    /// Has the guest's agent, if it answers, shut the guest down.
    async fn ask_agent(&self, patience: &mut Patience) -> Seen {
        if self.agent_socket().is_none() {
            return Seen::Nothing;
        }
        let asked = async {
            let agent = self.agent().await?;
            agent.execute_within(GuestPing {}, COMMAND).await?;
            agent.execute_unanswered(GuestShutdown { mode: Some("powerdown".to_owned()) }, COMMAND).await?;
            Ok::<_, Error>(())
        };
        if !matches!(timeout(AGENT, asked).await, Ok(Ok(()))) {
            return Seen::Nothing;
        }
        // It has said yes: half of the patience is for it to keep its word, and all if it is seen to.
        let half = after(Instant::now(), patience.end().saturating_duration_since(Instant::now()) / 2);
        match patience.watch(half).await {
            Seen::Nothing if patience.shuts_down => patience.watch(patience.end()).await,
            seen => seen,
        }
    }

    /// Presses the power button until the guest has shut down or patience ends.
    async fn ask_guest(&self, patience: &mut Patience) -> Seen {
        let mut pause = PRESS_AGAIN;
        while Instant::now() < patience.end() {
            if self.brief(SystemPowerdown {}).await.is_err() {
                // It may have ended just now.
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
        self.qmp().call(command).within(COMMAND).send().await
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
