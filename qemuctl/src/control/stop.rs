//! Ending a VM: as gently as it lets us, and in bounded time.

use std::fmt;
use std::time::Duration;

use qmp_client::ClientError;
use qmp_proto::qga::{GuestPing, GuestShutdown};
use qmp_proto::{Command, Cont, Quit, SystemPowerdown, SystemWakeup};
use rustix::process::Signal;
use tokio::time::{Instant, timeout, timeout_at};

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
/// How long QEMU may take to end after `quit`, and after SIGTERM: it writes its caches first.
const QEMU_ENDS: Duration = Duration::from_secs(5);
/// How long the guest's agent may take to be reached and asked.
const AGENT: Duration = Duration::from_secs(5);
/// How long a command on the way down may take. A QEMU that is that slow is not waited for.
const COMMAND: Duration = Duration::from_secs(2);

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
    /// QEMU obeyed SIGTERM.
    Terminate,
    /// Nothing but SIGKILL helped.
    Kill,
}

impl fmt::Display for Rung {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::AlreadyEnded => "it had ended before",
            Self::Agent => "by its agent",
            Self::PowerButton => "by the power button",
            Self::Quit => "by `quit`",
            Self::Terminate => "by SIGTERM",
            Self::Kill => "by SIGKILL",
        })
    }
}

/// How a VM was ended.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct StopOutcome {
    /// What it took.
    pub rung: Rung,
    /// Why QEMU ended, by its own account.
    pub reason: ExitReason,
    /// How long it took.
    pub took: Duration,
}

impl fmt::Display for StopOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({}, {:.1} s)", self.reason, self.rung, self.took.as_secs_f64())
    }
}

impl Instance {
    /// Ends the VM: asks the guest for up to `patience`, then QEMU, then the kernel.
    ///
    /// The ladder: the guest's agent where there is one, the power button (pressed again
    /// and again, ever less often), QEMU's `quit`, SIGTERM, SIGKILL. A paused guest is resumed first, a sleeping one is woken, so that it can obey; one that has
    /// never run, or cannot go on, is not asked. Returns as soon as QEMU has ended.
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
        let rung = self.climb(began + patience).await?;
        let reason = self.wait_for_exit("stop", KILL_LIMIT).await?.reason;
        Ok(StopOutcome { rung, reason, took: began.elapsed() })
    }

    /// Kills QEMU at once, as a power cut would, and waits until it is gone.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if it is still there after 10 s, [`Error::Unsupported`] if the process cannot be seen from
    /// here, [`Error::Io`] if it may not be signalled.
    pub async fn kill(&self) -> Result<ExitReason, Error> {
        self.signal("kill", Signal::KILL)?;
        self.wait_for_exit("kill", KILL_LIMIT).await.map(|exit| exit.reason)
    }

    /// Goes up the ladder until QEMU has ended; tells the rung.
    async fn climb(&self, patience: Instant) -> Result<Rung, Error> {
        if self.exit_reason().is_some() {
            return Ok(Rung::AlreadyEnded);
        }
        if self.wants_asking().await {
            if self.ask_agent(patience).await {
                return Ok(Rung::Agent);
            }
            if self.ask_guest(patience).await {
                return Ok(Rung::PowerButton);
            }
        }
        // The reply may be lost in QEMU's haste; its end is what counts.
        let _ = self.brief(Quit {}).await;
        if self.ended_by(Instant::now() + QEMU_ENDS).await {
            return Ok(Rung::Quit);
        }
        self.signal("stop", Signal::TERM)?;
        if self.ended_by(Instant::now() + QEMU_ENDS).await {
            return Ok(Rung::Terminate);
        }
        self.signal("stop", Signal::KILL)?;
        Ok(Rung::Kill)
    }

    /// Whether the guest can be asked; brings it to where it can.
    async fn wants_asking(&self) -> bool {
        let asked = timeout(COMMAND, self.query_state()).await;
        let woken = match asked {
            Ok(Ok(State::Running)) => return true,
            Ok(Ok(State::Paused)) => self.brief(Cont {}).await,
            Ok(Ok(State::Suspended)) => self.brief(SystemWakeup {}).await,
            _ => return false,
        };
        woken.is_ok()
    }

    /// Has the guest's agent, if it answers, shut the guest down; tells whether QEMU has ended.
    async fn ask_agent(&self, patience: Instant) -> bool {
        if self.agent_socket().is_none() {
            return false;
        }
        let asked = async {
            let agent = self.agent().await?;
            agent.execute_within(GuestPing {}, COMMAND).await?;
            agent.execute_unanswered(GuestShutdown { mode: Some("powerdown".to_owned()) }, COMMAND).await?;
            Ok::<_, Error>(())
        };
        if !matches!(timeout(AGENT, asked).await, Ok(Ok(()))) {
            return false;
        }
        // It has said yes: half of the patience is for it to keep its word.
        let half = patience.saturating_duration_since(Instant::now()) / 2;
        let mut states = self.states();
        let over = timeout(half, states.wait_for(State::is_over)).await.is_ok();
        over && self.ended_by(Instant::now() + COMMAND).await
    }

    /// Presses the power button until the guest has shut down or patience ends; tells whether QEMU has ended.
    async fn ask_guest(&self, patience: Instant) -> bool {
        let mut states = self.states();
        let mut pause = PRESS_AGAIN;
        while Instant::now() < patience {
            if self.brief(SystemPowerdown {}).await.is_err() {
                // It may have ended just now.
                return self.ended_by(Instant::now() + COMMAND).await;
            }
            let again = patience.min(Instant::now() + pause);
            pause = PRESS_AT_LEAST.min(pause * 2);
            // A VM that is told to stay after its guest's end (`-no-shutdown`) shows it in its state alone.
            let over = timeout_at(again, states.wait_for(State::is_over)).await.is_ok();
            if over {
                return self.ended_by(Instant::now() + COMMAND).await;
            }
        }
        false
    }

    async fn brief<C: Command>(&self, command: C) -> Result<C::Return, ClientError> {
        self.qmp().call(command).within(COMMAND).send().await
    }

    async fn ended_by(&self, deadline: Instant) -> bool {
        timeout_at(deadline, self.wait()).await.is_ok()
    }

    fn signal(&self, action: &'static str, signal: Signal) -> Result<(), Error> {
        let Some(process) = &self.vm().process else {
            return Err(Error::Unsupported {
                action,
                name: self.name().to_owned(),
                reason: "its process cannot be seen from here".to_owned(),
            });
        };
        process.signal(signal).map_err(|source| Error::Io {
            action: "signal the process",
            path: format!("/proc/{}", process.pid()).into(),
            source,
        })
    }
}
