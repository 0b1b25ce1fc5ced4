//! Supervises a VM until it ends.

use std::time::Duration;

use qemuctl::home::{Hold, StoredMachine};
use qemuctl::{
    Exit, Instance,
    qmp_client::{Events, EventsError},
};
use qmp_proto::TimedEvent;
use serde_json::json;
use tokio::time::{sleep, timeout};

use super::super::signals::Signals;

/// How long a guest may take to shut down when its keeper gets SIGTERM, for example because the host shuts down.
const GRACE: Duration = Duration::from_secs(60);

/// How long to read the last events, which have been received already.
const LAST_WORDS: Duration = Duration::from_secs(1);

/// The interval between checks of a growing log.
const LOOK_AGAIN: Duration = Duration::from_secs(1);

/// A VM with its events from the beginning.
pub(super) struct Running {
    pub(super) vm: Instance,
    pub(super) events: Events,
}

/// How the supervision ended.
pub(super) struct Watched {
    pub(super) exit: Exit,
    /// Whether the keeper was asked to end.
    pub(super) dismissed: bool,
}

/// Supervises the VM until it ends: records events, and truncates its logs.
pub(super) async fn over(running: Running, hold: &mut Hold, signals: &mut Signals) -> Watched {
    let Running { vm, mut events } = running;
    let mut is_open = true;
    let mut dismissed = false;
    let logs = tokio::spawn(keep_logs_short(hold.machine().clone()));
    let exit = loop {
        tokio::select! {
            biased;
            event = events.recv(), if is_open => is_open = note(hold, event),
            exit = vm.wait_exit() => break exit,
            asked = signals.next() => {
                hold.event("DISMISSED", &json!({ "signal": asked.to_string() }));
                if std::mem::replace(&mut dismissed, true) {
                    continue;
                }
                let vm = vm.clone();
                // The wait below reports how it ended.
                tokio::spawn(async move { drop(vm.stop(GRACE).await) });
            }
        }
    };
    logs.abort();
    while is_open {
        let Ok(event) = timeout(LAST_WORDS, events.recv()).await else { break };
        is_open = note(hold, event);
    }
    Watched { exit, dismissed }
}

/// Records an event. Returns whether there may be more.
pub(in crate::cli) fn note(hold: &mut Hold, event: Result<TimedEvent, EventsError>) -> bool {
    match event {
        Ok(event) => {
            if let Ok(event) = serde_json::to_value(&event) {
                hold.write_event(&event);
            }
            true
        }
        Err(EventsError::Missed(count)) => {
            hold.event("MISSED", &json!({ "events": count }));
            true
        }
        Err(_) => false,
    }
}

async fn keep_logs_short(machine: StoredMachine) {
    machine.cut_logs();
    let Ok(growth) = machine.watch() else { return };
    while growth.of_files(&["console.log", "qemu.log"]).await.is_ok() {
        machine.cut_logs();
        sleep(LOOK_AGAIN).await;
    }
}
