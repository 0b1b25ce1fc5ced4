//! The section `[keep]`: what happens to a machine of the home when its VM ends.
//!
//! It is no part of the virtual machine, so a plan does not know it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::path::Step;
use super::typed::{self, Finding, Read};

/// How a machine of the [home](crate::home) is kept. Ignored for a config that is elsewhere.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Keep {
    /// Whether the machine is started again when its VM ends. Default: no.
    pub restart: Restart,
}

/// When a machine is started again that nobody has stopped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Restart {
    /// Never.
    #[default]
    No,
    /// When QEMU crashed or was killed, when the guest panicked, or when QEMU ended with another exit code than 0.
    OnFailure,
    /// Also when the guest shut down.
    Always,
}

/// Takes the section out of a config file's content, with what is wrong in it.
pub(super) fn take(content: &mut Value) -> (Keep, Vec<Finding>) {
    let Some(section) = content.as_object_mut().and_then(|table| table.remove("keep")) else {
        return (Keep::default(), Vec::new());
    };
    let Read { whole, findings, .. } = typed::read::<Keep>(section);
    let within = |finding: Finding| {
        let steps = [Step::Field("keep".to_owned())].into_iter().chain(finding.steps).collect();
        Finding { steps, ..finding }
    };
    (whole.unwrap_or_default(), findings.into_iter().map(within).collect())
}
