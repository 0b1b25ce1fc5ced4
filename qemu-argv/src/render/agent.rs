//! The channel of the QEMU guest agent.

use super::chardev::{self, Served};
use crate::config::{CharBackend, Chardev};
use crate::draft::Draft;
use crate::error::At;
use crate::parts::SocketRole;
use crate::plan::topology::{Connector, VirtioSerialRequest};
use crate::value::Props;

/// The name under which the agent in the guest looks for its channel.
const PORT_NAME: &str = "org.qemu.guest_agent.0";

pub(super) fn guest_agent(draft: &mut Draft<'_>) {
    if !draft.config.guest_agent {
        return;
    }
    let root = At::ROOT;
    let at = root.field("guest_agent");
    let chardev = Chardev::new("agent0-chardev", CharBackend::Launcher);
    chardev::add(draft, at, &chardev, Some(Served { role: SocketRole::Agent, ending: ".agent.sock".into() }));
    let props = Props::new().with("chardev", "agent0-chardev").with("name", PORT_NAME);
    draft.device(
        at,
        "virtserialport",
        "agent0",
        props,
        Connector::VirtioSerial(VirtioSerialRequest::default()),
    );
}
