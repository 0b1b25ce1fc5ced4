//! Channels over virtio-serial: the QEMU guest agent's, the SPICE agent's, and those of the configuration.

use super::chardev::{self, Served};
use crate::config::CharBackend;
use crate::draft::Draft;
use crate::error::At;
use crate::name::join;
use crate::parts::SocketRole;
use crate::plan::ids::chardev_name;
use crate::plan::topology::{Connector, VirtioSerialRequest};
use crate::value::Props;

/// The name under which the QEMU guest agent looks for its channel.
const GUEST_AGENT: &str = "org.qemu.guest_agent.0";
/// The name under which the SPICE agent looks for its channel.
const SPICE_AGENT: &str = "com.redhat.spice.0";

pub(super) fn guest_agent(draft: &mut Draft<'_>) {
    if !draft.config.guest_agent {
        return;
    }
    let root = At::ROOT;
    let at = root.field("guest_agent");
    let served = Served { role: SocketRole::Agent, ending: ".agent.sock".into() };
    chardev::add(draft, at, "agent0-chardev", &CharBackend::Launcher, Some(served));
    port(draft, at, "agent0", "agent0-chardev", GUEST_AGENT);
}

pub(super) fn spice_agent(draft: &mut Draft<'_>) {
    if !draft.config.spice_agent {
        return;
    }
    let root = At::ROOT;
    let at = root.field("spice_agent");
    if draft.config.spice.is_none() {
        draft.conflict(at, "the SPICE agent needs `spice`");
    }
    let backend = CharBackend::Spicevmc { name: "vdagent".into() };
    chardev::add(draft, at, "vdagent0-chardev", &backend, None);
    port(draft, at, "vdagent0", "vdagent0-chardev", SPICE_AGENT);
}

pub(super) fn channels(draft: &mut Draft<'_>) {
    let config = draft.config;
    let ids = draft.ids("channels", "channel", &config.channels, |channel| channel.id.as_deref());
    for (index, (channel, id)) in config.channels.iter().zip(ids).enumerate() {
        let at = At::ROOT.item("channels", index);
        if channel.name.is_empty() || channel.name.chars().any(|each| each.is_control() || each == '/') {
            draft.invalid(at.field("name"), &channel.name, "is no name of a channel");
        }
        let chardev = if let Some(chardev) = &channel.chardev {
            let known = config.chardevs.iter().map(|chardev| chardev.id.as_str());
            draft.refer(at.field("chardev"), "character device", chardev, known);
            chardev.into()
        } else {
            let chardev = chardev_name(&id, &channel.backend);
            let served =
                Served { role: SocketRole::Port(channel.name.clone()), ending: join([".", &id, ".sock"]) };
            chardev::add(draft, at, &chardev, &channel.backend, Some(served));
            chardev
        };
        port(draft, at, &id, &chardev, &channel.name);
    }
}

fn port(draft: &mut Draft<'_>, at: At<'_>, id: &str, chardev: &str, name: &str) {
    let props = Props::from([("chardev", chardev.into()), ("name", name.into())]);
    draft.device(at, "virtserialport", id, props, Connector::VirtioSerial(VirtioSerialRequest::default()));
}
