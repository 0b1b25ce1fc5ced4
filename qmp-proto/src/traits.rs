//! What every command and every event has.

use serde::Serialize;
use serde::de::DeserializeOwned;

/// A QMP or guest-agent command: its arguments are the value, its name and reply type belong to the type.
pub trait Command: Serialize {
    /// The name on the wire, as in QEMU's reference manual.
    const NAME: &'static str;
    /// Whether QEMU takes the command out of band (`exec-oob`).
    const ALLOW_OOB: bool = false;
    /// Whether success is answered at all. Some guest-agent commands, such as `guest-shutdown`, only
    /// answer when they fail.
    const SUCCESS_RESPONSE: bool = true;
    /// What QEMU returns when the command succeeds.
    type Return: DeserializeOwned;
}

/// The data of one kind of QMP event.
pub trait Event: DeserializeOwned {
    /// The name on the wire, as in QEMU's reference manual.
    const NAME: &'static str;
}

/// The empty reply `{}` of a command that returns nothing. Members that a newer QEMU adds are ignored.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
#[non_exhaustive]
pub struct Empty {}
