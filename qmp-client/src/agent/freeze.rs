//! Frozen file systems, thawed whatever happens.

use serde_json::json;

use crate::agent::Agent;
use crate::connection::handle::Request;
use crate::error::ClientError;
use crate::pipeline::outgoing::{Orphan, Outgoing};
use crate::wire::command;

/// The guest's file systems, frozen for a snapshot. Dropping it thaws them.
///
/// The thaw is said again if the agent does not answer it, and is written before the connection is given up,
/// even when the runtime ends at once. Only a killed process leaves a guest frozen.
#[derive(Debug)]
#[must_use = "dropping it thaws the file systems"]
pub struct Frozen {
    /// None: thawed already.
    agent: Option<Agent>,
    file_systems: u64,
}

impl Frozen {
    /// How many file systems were frozen.
    pub fn file_systems(&self) -> u64 {
        self.file_systems
    }

    /// Thaws the file systems and says how many.
    ///
    /// # Errors
    ///
    /// As [`Agent::execute`]. If the thaw was not confirmed, it is tried again in the background.
    ///
    /// # Cancel safety
    ///
    /// Dropping the future thaws all the same.
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
    /// Freezes the guest's file systems, or those at `mount_points` only, until the guard thaws them.
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
