//! `-action`.

use crate::config::{PanicAction, RebootAction, ShutdownAction, VmConfig, WatchdogAction};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::Props;

pub(super) fn actions(builder: &mut Builder<'_>, config: &VmConfig) {
    let actions = &config.actions;
    let panic = actions.panic.map(|action| match action {
        PanicAction::Pause => "pause",
        PanicAction::Shutdown => "shutdown",
        PanicAction::ExitFailure => "exit-failure",
        PanicAction::None => "none",
    });
    let reboot = actions.reboot.map(|action| match action {
        RebootAction::Reset => "reset",
        RebootAction::Shutdown => "shutdown",
    });
    let shutdown = actions.shutdown.map(|action| match action {
        ShutdownAction::Poweroff => "poweroff",
        ShutdownAction::Pause => "pause",
    });
    let watchdog = actions.watchdog.map(|action| match action {
        WatchdogAction::Reset => "reset",
        WatchdogAction::Shutdown => "shutdown",
        WatchdogAction::Poweroff => "poweroff",
        WatchdogAction::Pause => "pause",
        WatchdogAction::Debug => "debug",
        WatchdogAction::None => "none",
        WatchdogAction::InjectNmi => "inject-nmi",
    });
    let props = Props::new()
        .with_some("panic", panic)
        .with_some("reboot", reboot)
        .with_some("shutdown", shutdown)
        .with_some("watchdog", watchdog);
    if !props.is_empty() {
        builder.option(At::section("actions"), "-action", props);
    }
}
