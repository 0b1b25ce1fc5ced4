//! Frozen file systems, which are always thawed.

use serde_json::json;

use crate::agent::Agent;
use crate::connection::handle::Request;
use crate::error::ClientError;
use crate::pipeline::outgoing::{Orphan, Outgoing};
use crate::wire::command;

/// The guest's file systems, frozen for a snapshot. Dropping it thaws them.
///
/// The thaw command is repeated if the agent does not answer, and is sent before the connection is closed, even if the
/// runtime ends. Only a killed process leaves a guest frozen.
#[derive(Debug)]
#[must_use = "dropping it thaws the file systems"]
pub struct Frozen {
    /// `None` if they are already thawed.
    agent: Option<Agent>,
    file_systems: u64,
}

impl Frozen {
    /// Returns the number of frozen file systems.
    pub fn file_systems(&self) -> u64 {
        self.file_systems
    }

    /// Thaws the file systems and returns their number.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`]. If the thaw was not confirmed, it is repeated in the background.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the file systems are still thawed.
    pub async fn thaw(mut self) -> Result<u64, ClientError> {
        let Some(agent) = self.agent.clone() else { return Ok(0) };
        let thawed = agent.raw("guest-fsfreeze-thaw", None, None).await?;
        self.agent = None;
        Ok(thawed)
    }
}

impl Drop for Frozen {
    fn drop(&mut self) {
        if let Some(agent) = self.agent.take() {
            agent.handle.shared.send_detached(thaw());
        }
    }
}

impl Agent {
    /// Freezes the guest's file systems, or only those at `mount_points`, until the guard thaws them.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, or the agent answers too late, the file systems are thawed.
    pub async fn freeze(&self, mount_points: Option<&[&str]>) -> Result<Frozen, ClientError> {
        let request = match mount_points {
            None => Request::raw("guest-fsfreeze-freeze", None)?,
            Some(paths) => {
                Request::raw("guest-fsfreeze-freeze-list", Some(&json!({ "mountpoints": paths })))?
            }
        };
        let request = request.orphan(Orphan::Always(Box::new(thaw())));
        let file_systems = self.send(request, None).await?;
        Ok(Frozen { agent: Some(self.clone()), file_systems })
    }
}

fn thaw() -> Outgoing {
    Outgoing::in_band(command::known("guest-fsfreeze-thaw", &serde_json::Value::Null))
}
