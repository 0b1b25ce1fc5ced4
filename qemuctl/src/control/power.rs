//! Power: pause and resume, the reset and power buttons, and `quit`.

use std::time::Duration;

use qmp_client::ClientError;
use qmp_proto::event::Reset;
use qmp_proto::{Command, Cont, Quit, Stop, SystemPowerdown, SystemReset};
use tokio::time::timeout;

use crate::error::Error;
use crate::instance::Instance;
use crate::reason::ExitReason;
use crate::state::State;
use crate::supervise::KILL_LIMIT;

/// How long to watch a guest that is resumed after a disk error: the failed request is retried at once.
const FAILS_AGAIN: Duration = Duration::from_secs(1);

/// How long a reset may take after QEMU has accepted the command.
const RESETS: Duration = Duration::from_secs(2);

/// # Power
impl Instance {
    /// Pauses the guest's virtual CPUs.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`] if the guest is not paused afterwards, because it had stopped for another reason before;
    /// otherwise as [`Instance::execute`].
    pub async fn pause(&self) -> Result<(), Error> {
        self.execute(Stop {}).await.map_err(|error| error.of("pause"))?;
        match self.query_state().await? {
            // A guest that was never started is not running, either.
            State::Paused | State::Prelaunch => Ok(()),
            state => Err(self.wrong_state("pause", state).await),
        }
    }

    /// Resumes the guest's virtual CPUs.
    ///
    /// # Errors
    ///
    /// [`Error::WrongState`] if the guest is not running afterwards, because a disk error has paused it again.
    /// Otherwise as [`Instance::execute`].
    #[doc(alias = "cont")]
    pub async fn resume(&self) -> Result<(), Error> {
        let before = self.state();
        self.execute(Cont {}).await.map_err(|error| error.of("resume"))?;
        let mut state = self.query_state().await?;
        if before == State::IoError && state == State::Running {
            let mut states = self.states();
            if let Ok(Ok(other)) =
                timeout(FAILS_AGAIN, states.wait_for(|state| *state != State::Running)).await
            {
                state = other.clone();
            }
        }
        match state {
            State::Running | State::Suspended => Ok(()),
            state => Err(self.wrong_state("resume", state).await),
        }
    }

    /// Resets the machine like its reset button, and returns when that is done. A paused machine is paused afterwards,
    /// too: its [state](Self::state) is [`State::Prelaunch`] until [`resume`](Self::resume).
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    pub async fn reset(&self) -> Result<(), Error> {
        let mut resets = self.events_of::<Reset>();
        let Err(error) = self.vm().session.execute(SystemReset {}).await else {
            // The reply only announces the reset; the next query is answered after it.
            let _ = timeout(RESETS, resets.recv()).await;
            let _ = timeout(RESETS, self.query_state()).await;
            return Ok(());
        };
        // A VM that ends on reset (`-no-reboot`) may be gone before the reply.
        if matches!(error, ClientError::Closed { .. })
            && let Ok(exit) = self.wait_for_exit("resetting", KILL_LIMIT).await
            && exit.reason == ExitReason::HostReset
        {
            return Ok(());
        }
        Err(self.explain(SystemReset::NAME, error).of("reset"))
    }

    /// Presses the power button (ACPI) and returns at once. The guest may ignore it; see [`stop`](Self::stop).
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    #[doc(alias = "system_powerdown")]
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.execute(SystemPowerdown {}).await.map(drop).map_err(|error| error.of("shut down"))
    }

    /// Makes QEMU quit, and waits until it has ended. The guest is not asked.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if QEMU has not ended after `timeout`.
    pub async fn quit(&self, timeout: Duration) -> Result<ExitReason, Error> {
        // QEMU may be gone before the reply; the exit reason shows whether this command was the cause.
        let _ = self.vm().session.execute(Quit {}).await;
        self.wait_for_exit("quitting", timeout).await.map(|exit| exit.reason)
    }

    /// Makes the error for a VM that is not in the expected state.
    async fn wrong_state(&self, action: &'static str, state: State) -> Error {
        let mut reason = state.clause();
        if state == State::IoError {
            let disks = self.disk_errors().await.unwrap_or_default();
            let told: Vec<String> = disks.iter().map(ToString::to_string).collect();
            if !told.is_empty() {
                reason = format!("{reason} ({})", told.join(", "));
            }
        }
        Error::WrongState { action, name: self.name().to_owned(), state, reason }
    }
}
