//! Passes the size of this terminal on to the guest of its console.
//!
//! A serial line cannot carry the size, so the guest agent is used. A guest without an agent keeps its own setting.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use qemuctl::qmp_client::agent::Agent;
use qemuctl::{Error, Exec, Instance, qmp_client::EventsError};
use qmp_proto::AnyEvent;
use rustix::termios::tcgetwinsize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::AbortHandle;

use super::agent::SHORT;

/// How long to wait for the agent to answer.
const ANSWERS: Duration = Duration::from_secs(5);

/// Linux lists its main console last: the one that the last `console=` option names.
const SCRIPT: &str =
    r#"for tty in $(cat /sys/class/tty/console/active); do :; done; stty -F "/dev/$tty" rows "$0" cols "$1""#;

/// Sends the size to the guest, now and after each change, until dropped.
#[derive(Debug)]
pub(crate) struct Window(AbortHandle);

impl Window {
    pub(crate) fn follow(vm: &Instance) -> Self {
        let vm = vm.clone();
        Self(tokio::spawn(async move { drop(tell(&vm).await) }).abort_handle())
    }
}

impl Drop for Window {
    fn drop(&mut self) {
        self.0.abort();
    }
}

async fn tell(vm: &Instance) -> io::Result<()> {
    let mut changes = signal(SignalKind::window_change())?;
    // The guest opens its end of the agent's channel when the agent starts, however late, and again after a reboot.
    let mut events = vm.events();
    loop {
        match vm.wait_agent(ANSWERS).await {
            Ok(agent) => resize(&agent).await?,
            Err(Error::Missing { .. }) => return Ok(()),
            Err(_) => {}
        }
        loop {
            tokio::select! {
                _ = changes.recv() => break,
                event = events.recv() => match event {
                    Ok(event) => match event.event {
                        AnyEvent::VserportChange(port) if port.open => break,
                        _ => {}
                    },
                    Err(EventsError::Missed(_)) => break,
                    Err(_) => return Ok(()),
                }
            }
        }
    }
}

async fn resize(agent: &Agent) -> io::Result<()> {
    let size = tcgetwinsize(io::stdin().as_fd())?;
    if size.ws_row > 0 && size.ws_col > 0 {
        let (rows, columns) = (size.ws_row.to_string(), size.ws_col.to_string());
        // A guest without a shell or `stty` stays as it is.
        let _ = agent.exec(&Exec::with_args("/bin/sh", ["-c", SCRIPT, &rows, &columns]), SHORT).await;
    }
    Ok(())
}
