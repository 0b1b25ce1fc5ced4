//! The QMP commands that add and remove a device.

use std::os::fd::OwnedFd;
use std::sync::Arc;

use qemu_argv::{QmpCommand, UnplugPlan};
use qmp_client::{ClientError, Events, EventsError, Session};
use qmp_proto::{AnyEvent, ErrorClass, QomList};
use serde_json::{Value, json};
use tokio::time::{Instant, timeout_at};

use crate::error::Error;
use crate::runtime::Plans;

/// The QOM path of devices that have an id.
pub(super) const DEVICES: &str = "/machine/peripheral";

/// The memory object of a module.
pub(super) fn memory_of(dimm: &str) -> String {
    format!("{dimm}-memory")
}

/// A device that was not added.
pub(super) struct NotAdded {
    pub(super) error: ClientError,
    /// Whether it is certain that QEMU has nothing of it: QEMU has answered, and the other parts were removed.
    pub(super) is_undone: bool,
}

/// Sends the commands. If one fails, the earlier ones are undone.
pub(super) async fn add(
    session: &Session,
    commands: Vec<QmpCommand>,
    descriptors: Vec<(String, OwnedFd)>,
) -> Result<(), NotAdded> {
    let mut undo = Vec::new();
    let mut added = Ok(());
    for (name, fd) in &descriptors {
        let named = json!({ "fdname": name });
        undo.push(("closefd", named.clone()));
        added = session.call_raw("getfd", Some(named)).with_fd(fd).send().await.map(drop);
        if added.is_err() {
            break;
        }
    }
    let passed = undo.len();
    if added.is_ok() {
        for command in commands {
            added = session.execute_raw(command.name, Some(arguments(&command))).await.map(drop);
            if added.is_err() {
                break;
            }
            undo.extend(command.inverse().map(|inverse| (inverse.name, arguments(&inverse))));
        }
    }
    let Err(error) = added else { return Ok(()) };
    // Without an answer, the command may have succeeded.
    let mut is_undone = matches!(error, ClientError::Refused { .. });
    let parts = undo.len() - passed;
    for (number, (name, arguments)) in undo.into_iter().rev().enumerate() {
        // A file descriptor that was used by a part does not have to be closed.
        is_undone &= session.execute_raw(name, Some(arguments)).await.is_ok() || number >= parts;
    }
    Err(NotAdded { error, is_undone })
}

fn arguments(command: &QmpCommand) -> Value {
    serde_json::to_value(&command.arguments).unwrap_or_default()
}

/// How the removal of a device ended.
pub(super) enum Outcome {
    Gone,
    Refused,
    Late,
    NoSuch,
}

/// Why the removal was not attempted.
pub(super) enum Failure {
    Client(ClientError),
    Other(Error),
}

impl From<ClientError> for Failure {
    fn from(error: ClientError) -> Self {
        Self::Client(error)
    }
}

/// Removes a device and its backend, according to the plan.
pub(super) async fn remove(
    session: &Session,
    plans: &Arc<Plans>,
    id: &str,
    removal: Option<UnplugPlan>,
    deadline: Instant,
) -> Result<Outcome, Failure> {
    let events = session.events_named(["DEVICE_DELETED", "DEVICE_UNPLUG_GUEST_ERROR", "MEM_UNPLUG_ERROR"]);
    let is_device = removal.as_ref().is_none_or(|removal| removal.device.is_some());
    if is_device {
        match session.execute_raw("device_del", Some(json!({ "id": id }))).await {
            Ok(_) => match released(session, events, id, deadline).await? {
                Outcome::Gone => {}
                other => return Ok(other),
            },
            Err(ClientError::Refused { class: ErrorClass::DeviceNotFound, .. }) if removal.is_some() => {
                // It was removed in the meantime.
            }
            Err(ClientError::Refused { class: ErrorClass::DeviceNotFound, .. }) => {
                return Ok(Outcome::NoSuch);
            }
            Err(ClientError::Refused { desc, .. }) if desc.contains("in the process of unplug") => {
                match released(session, events, id, deadline).await? {
                    Outcome::Gone => {}
                    other => return Ok(other),
                }
            }
            Err(error) => return Err(error.into()),
        }
    }
    let Some(removal) = removal else {
        // Only memory modules have an object that is not in the plan.
        let _ = session.execute_raw("object-del", Some(json!({ "id": memory_of(id) }))).await;
        return Ok(Outcome::Gone);
    };
    let mut failed = None;
    for command in &removal.backends {
        if let Err(error) = session.execute_raw(command.name, Some(arguments(command))).await {
            failed.get_or_insert(error);
        }
    }
    plans.set(removal.plan).map_err(Failure::Other)?;
    match failed {
        Some(error) => Err(error.into()),
        None => Ok(Outcome::Gone),
    }
}

/// Waits until the guest has released a device.
#[allow(
    deprecated,
    reason = "QEMU before 9.1 says MEM_UNPLUG_ERROR where newer ones say DEVICE_UNPLUG_GUEST_ERROR"
)]
async fn released(
    session: &Session,
    mut events: Events,
    id: &str,
    deadline: Instant,
) -> Result<Outcome, ClientError> {
    loop {
        let event = match timeout_at(deadline, events.recv()).await {
            Ok(Ok(event)) => event.event,
            Err(_) if is_there(session, id).await? => return Ok(Outcome::Late),
            Ok(Err(EventsError::Missed(_))) if is_there(session, id).await? => continue,
            Err(_) | Ok(Err(EventsError::Missed(_))) => return Ok(Outcome::Gone),
            // The next reply has the error.
            Ok(Err(_)) => {
                is_there(session, id).await?;
                return Ok(Outcome::Late);
            }
        };
        match event {
            AnyEvent::DeviceDeleted(event) if event.device.as_deref() == Some(id) => {
                return Ok(Outcome::Gone);
            }
            AnyEvent::DeviceUnplugGuestError(event) if event.device.as_deref() == Some(id) => {
                return Ok(Outcome::Refused);
            }
            AnyEvent::MemUnplugError(event) if event.device == id => return Ok(Outcome::Refused),
            _ => {}
        }
    }
}

async fn is_there(session: &Session, id: &str) -> Result<bool, ClientError> {
    let listed = session.execute(QomList::new(DEVICES)).await?;
    Ok(listed.iter().any(|property| property.name == id))
}
