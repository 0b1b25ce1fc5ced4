//! The size of this terminal, told to a guest on whose console it is.
//!
//! A serial line has no word for it. A guest with an agent is told through that one; another keeps what it has.

use std::io;
use std::os::fd::AsFd;
use std::time::Duration;

use qemuctl::qmp_client::agent::Agent;
use qemuctl::{Error, EventsError, Exec, Instance};
use qmp_proto::AnyEvent;
use rustix::termios::tcgetwinsize;
use tokio::signal::unix::{SignalKind, signal};
use tokio::task::AbortHandle;

use super::agent::SHORT;

/// How long the agent may take to show itself once it may be there.
const ANSWERS: Duration = Duration::from_secs(5);

/// Linux's console is the last of those it lists, the one that `console=` named last.
const SCRIPT: &str =
    r#"for tty in $(cat /sys/class/tty/console/active); do :; done; stty -F "/dev/$tty" rows "$0" cols "$1""#;

/// Tells the guest the size, now and whenever it changes, until dropped.
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
