//! Monitors of the configuration's own.

use super::chardev;
use crate::config::{CharBackend, Monitor, MonitorMode, VmConfig};
use crate::name::join;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::Props;

/// Monitors besides the launcher's.
pub(super) fn monitors(builder: &mut Builder<'_>, config: &VmConfig) {
    for (index, monitor) in config.monitors.iter().enumerate() {
        let at = At::entry("monitors", index);
        let Monitor { mode, backend, chardev, pretty } = monitor;
        let name = if let Some(id) = chardev {
            builder.monitor_chardev(at.field("chardev"), id);
            id.as_str().into()
        } else {
            if *backend == CharBackend::Launcher {
                builder.conflict(at.field("backend"), "the launcher has its own monitors; use `qemuctl qmp` and `qemuctl hmp`");
            }
            let name = join(["mon", itoa::Buffer::new().format(index), "-chardev"]);
            chardev::add(builder, at, &name, backend, None);
            name
        };
        let mode = match mode {
            MonitorMode::Hmp => "readline",
            MonitorMode::Qmp => "control",
        };
        if *pretty && mode == "readline" {
            builder.conflict(at.field("pretty"), "`pretty` requires `mode = \"qmp\"`");
        }
        let props = Props::new()
            .with("chardev", name)
            .with("mode", mode)
            .with_some("pretty", pretty.then_some(true));
        builder.option(at, "-mon", props);
    }
}
