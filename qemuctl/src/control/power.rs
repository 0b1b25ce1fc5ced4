//! Power: pause and resume, the reset and power buttons, and `quit`.

use std::time::Duration;

use qmp_client::ClientError;
use qmp_proto::{Command, Cont, Quit, Stop, SystemPowerdown, SystemReset};

use crate::error::Error;
use crate::instance::Instance;
use crate::reason::ExitReason;
use crate::supervise::KILL_LIMIT;

impl Instance {
    /// Stops the guest's virtual CPUs.
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    pub async fn pause(&self) -> Result<(), Error> {
        self.execute(Stop {}).await?;
        self.query_state().await.map(drop)
    }

    /// Lets the guest's virtual CPUs run on.
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    #[doc(alias = "cont")]
    pub async fn resume(&self) -> Result<(), Error> {
        self.execute(Cont {}).await?;
        self.query_state().await.map(drop)
    }

    /// Resets the machine as its reset button would.
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    pub async fn reset(&self) -> Result<(), Error> {
        let Err(error) = self.vm().session.execute(SystemReset {}).await else { return Ok(()) };
        // A VM that was told to end at a reset (`-no-reboot`) may be gone before its reply.
        if matches!(error, ClientError::Closed { .. })
            && let Ok(exit) = self.wait_for_exit("resetting", KILL_LIMIT).await
            && exit.reason == ExitReason::HostReset
        {
            return Ok(());
        }
        Err(self.explain(SystemReset::NAME, error))
    }

    /// Presses the power button (ACPI) and returns at once. Whether the guest obeys is the guest's affair: see
    /// [`stop`](Self::stop).
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    #[doc(alias = "system_powerdown")]
    pub async fn shutdown(&self) -> Result<(), Error> {
        self.execute(SystemPowerdown {}).await.map(drop)
    }

    /// Tells QEMU to quit, and waits until it has. The guest is not asked.
    ///
    /// # Errors
    ///
    /// [`Error::Timeout`] if QEMU lives on after `limit`.
    pub async fn quit(&self, limit: Duration) -> Result<ExitReason, Error> {
        // QEMU may be gone before the reply: how it ended tells whether that was this command's doing.
        let _ = self.vm().session.execute(Quit {}).await;
        self.wait_for_exit("quitting", limit).await.map(|exit| exit.reason)
    }
}
