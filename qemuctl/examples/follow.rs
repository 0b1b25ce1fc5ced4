//! Attaches to a VM that something else has started, and tells its states and events until it ends.
//!
//! `follow NAME`: a VM of this user's. Leaving it (Ctrl-C) does nothing to the VM.

use std::error::Error;

use qemuctl::{ExitReason, Instance, qmp_client::EventsError};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let name = std::env::args().nth(1).ok_or("usage: follow NAME")?;
    let vm = Instance::attach_name(&name).await?;
    let reason = follow(&vm, |line| println!("{line}")).await;
    println!("{name} has ended: {reason}");
    Ok(())
}

/// Tells states and events until the VM has ended, and returns why it did.
pub async fn follow(vm: &Instance, mut tell: impl FnMut(String)) -> ExitReason {
    let (mut states, mut events) = (vm.states(), vm.events());
    tell(format!("{}", *states.borrow_and_update()));
    loop {
        tokio::select! {
            Ok(()) = states.changed() => tell(format!("{}", *states.borrow_and_update())),
            heard = events.recv() => match heard {
                Ok(event) => tell(event.event.name().to_owned()),
                Err(EventsError::Missed(count)) => tell(format!("{count} events were missed")),
                // The connection has ended, and so will the VM.
                Err(_) => return vm.wait().await,
            },
        }
    }
}
