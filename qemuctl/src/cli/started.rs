//! The result of `start`.

use std::path::Path;

use qemuctl::Instance;
use serde::Serialize;

use super::ways::Ways;

/// What `--json` prints.
#[derive(Serialize)]
pub(super) struct Started<'a> {
    name: &'a str,
    pid: Option<u32>,
    /// The monitor socket.
    socket: Option<&'a Path>,
    warnings: &'a [String],
    /// The exit reason, if the VM has ended already.
    #[serde(skip_serializing_if = "Option::is_none")]
    ended: Option<String>,
    #[serde(flatten)]
    ways: &'a Ways,
}

impl<'a> Started<'a> {
    pub(super) fn new(vm: &'a Instance, ways: &'a Ways, ended: Option<&qemuctl::Exit>) -> Self {
        Self {
            name: vm.name(),
            pid: vm.pid(),
            socket: vm.socket(),
            warnings: vm.warnings(),
            ended: ended.map(|ended| ended.reason.to_string()),
            ways,
        }
    }
}
