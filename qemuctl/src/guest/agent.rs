//! From a VM to its guest agent.

use std::time::Duration;

use qmp_client::agent::Agent;
use qmp_client::{Liveness, Options};
use qmp_proto::qga::GuestSuspendRam;

use crate::error::Error;
use crate::instance::Instance;

/// How long a guest may take to fall asleep before an agent that stays silent is taken for one that obeys.
const FALLS_ASLEEP: Duration = Duration::from_secs(5);

impl Instance {
    /// The line to the agent in the guest: it runs programs, copies files, freezes file systems and tells addresses.
    ///
    /// The line is there before the agent is; see [`wait_agent`](Self::wait_agent). It is opened at the first call and
    /// shared by the later ones: an agent serves one client.
    ///
    /// # Errors
    ///
    /// [`Error::Missing`] if the VM has no channel for an agent, [`Error::Qmp`] if its socket cannot be connected.
    pub async fn agent(&self) -> Result<Agent, Error> {
        let mut known = self.agent_slot().lock().await;
        if let Some(agent) = known.as_ref()
            && !matches!(*agent.liveness().borrow(), Liveness::Closed(_))
        {
            return Ok(agent.clone());
        }
        let socket = self.agent_socket().ok_or_else(|| self.missing("guest agent channel"))?;
        let agent = Agent::connect(socket, &Options::default()).await;
        let agent = agent.map_err(|error| self.explain("connecting to the guest agent", error))?;
        *known = Some(agent.clone());
        Ok(agent)
    }

    /// Waits until the guest's agent answers, as after the guest's start, for at most `limit`.
    ///
    /// # Errors
    ///
    /// As [`agent`](Self::agent), and [`Error::Qmp`] if it does not answer in time.
    pub async fn wait_agent(&self, limit: Duration) -> Result<Agent, Error> {
        let agent = self.agent().await?;
        match agent.wait_ready(limit).await {
            Ok(()) => Ok(agent),
            Err(error) => Err(self.explain("waiting for the guest agent", error)),
        }
    }

    /// Puts the guest to sleep (ACPI S3) through its agent; [`wake`](Self::wake) wakes it.
    ///
    /// # Errors
    ///
    /// As [`agent`](Self::agent), and [`Error::Qmp`] if the agent refuses: not every guest can sleep.
    pub async fn suspend(&self) -> Result<(), Error> {
        let agent = self.agent().await?;
        let asked = agent.execute_unanswered(GuestSuspendRam {}, FALLS_ASLEEP).await;
        asked.map_err(|error| self.explain("guest-suspend-ram", error))
    }
}
