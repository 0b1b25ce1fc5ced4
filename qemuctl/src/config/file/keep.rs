//! The section `[keep]`: what happens to a machine when its VM ends.
//!
//! It is not part of the virtual machine, so plans do not contain it.

use serde::{Deserialize, Serialize};
use serde_json::Value;

use super::path::Step;
use super::typed::{self, Finding, Read};

/// How a [machine](crate::home) is supervised. Ignored for other configs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields, default)]
#[non_exhaustive]
pub struct Keep {
    /// When the machine is restarted. Defaults to never.
    pub restart: Restart,
}

/// When a machine is restarted, unless it was stopped by a command.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Restart {
    /// Never.
    #[default]
    No,
    /// If QEMU crashed, was killed or exited with a code other than 0, or the guest panicked.
    OnFailure,
    /// Also if the guest shut down.
    Always,
}

/// Removes the section from a config file's content and returns it, with its faults.
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
