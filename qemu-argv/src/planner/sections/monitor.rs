//! Monitors of the configuration's own.

use smol_str::SmolStr;

use super::chardev;
use crate::config::{CharBackend, Monitor, MonitorMode, VmConfig};
use crate::name::join;
use crate::planner::at::At;
use crate::planner::builder::Builder;

/// Monitors besides the launcher's.
pub(super) fn monitors(builder: &mut Builder<'_>, config: &VmConfig) {
    for (index, monitor) in config.monitors.iter().enumerate() {
        let at = At::entry("monitors", index);
        let Monitor { mode, backend, chardev, pretty } = monitor;
        let name = if let Some(id) = chardev {
            builder.monitor_chardev(at.field("chardev"), id);
            SmolStr::from(id.as_str())
        } else {
            if *backend == CharBackend::Launcher {
                builder.conflict(
                    at.field("backend"),
                    "the launcher has its own monitors; use `qemuctl qmp` and `qemuctl hmp`",
                );
            }
            let name = join(["mon", itoa::Buffer::new().format(index), "-chardev"]);
            chardev::add(builder, at, &name, backend, None);
            name
        };
        // `-mon` says the same, and is deprecated since 11.1.
        let option = match (mode, pretty) {
            (MonitorMode::Hmp, _) => "-monitor",
            (MonitorMode::Qmp, false) => "-qmp",
            (MonitorMode::Qmp, true) => "-qmp-pretty",
        };
        if *pretty && *mode == MonitorMode::Hmp {
            builder.conflict(at.field("pretty"), "`pretty` requires `mode = \"qmp\"`");
        }
        builder.plain(at, option, join(["chardev:", &name]));
    }
}
