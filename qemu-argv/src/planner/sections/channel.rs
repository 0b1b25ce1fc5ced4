//! Channels over virtio-serial: the QEMU guest agent's, the SPICE agent's, and those of the configuration.

use super::chardev::{self, Served};
use crate::config::{Channel, CharBackend, SpicevmcChardev, VmConfig};
use crate::name::join;
use crate::plan::SocketRole;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::planner::ids::chardev_name;
use crate::topology::{Connector, VirtioSerialRequest};
use crate::value::Props;

/// The name under which the QEMU guest agent looks for its channel.
const GUEST_AGENT: &str = "org.qemu.guest_agent.0";
/// The name under which the SPICE agent looks for its channel.
const SPICE_AGENT: &str = "com.redhat.spice.0";

pub(super) fn guest_agent(builder: &mut Builder<'_>, config: &VmConfig) {
    if !config.guest_agent {
        return;
    }
    let at = At::section("guest_agent");
    let served = Served { role: SocketRole::Agent, ending: ".agent.sock".into() };
    chardev::add(builder, at, "agent0-chardev", &CharBackend::Launcher, Some(served));
    port(builder, at, "agent0", "agent0-chardev", GUEST_AGENT);
}

pub(super) fn spice_agent(builder: &mut Builder<'_>, config: &VmConfig) {
    if !config.spice_agent {
        return;
    }
    let at = At::section("spice_agent");
    if !builder.has_spice {
        builder.conflict(at, "the SPICE agent requires `spice`");
    }
    let backend = CharBackend::Spicevmc(SpicevmcChardev { name: "vdagent".into() });
    chardev::add(builder, at, "vdagent0-chardev", &backend, None);
    port(builder, at, "vdagent0", "vdagent0-chardev", SPICE_AGENT);
}

pub(super) fn channels(builder: &mut Builder<'_>, config: &VmConfig) {
    let ids = builder.ids("channels", "channel", &config.channels, |channel| channel.id.as_deref());
    for (index, (channel, id)) in config.channels.iter().zip(ids).enumerate() {
        one(builder, At::entry("channels", index), &id, channel);
    }
}

pub(super) fn newcomer(builder: &mut Builder<'_>, channel: &Channel) {
    let (at, id) = builder.join("channels", "channel", channel, channel.id.as_deref());
    one(builder, at, &id, channel);
}

fn one(builder: &mut Builder<'_>, at: At<'_>, id: &str, channel: &Channel) {
    if channel.name.is_empty() || channel.name.chars().any(|each| each.is_control() || each == '/') {
        builder.invalid(at.field("name"), &channel.name, "is not a valid channel name");
    }
    let chardev = if let Some(chardev) = &channel.chardev {
        builder.chardev_of_list(at.field("chardev"), "character device", chardev);
        chardev.into()
    } else {
        let chardev = chardev_name(id, &channel.backend);
        let served =
            Served { role: SocketRole::Port(channel.name.clone()), ending: join([".", id, ".sock"]) };
        chardev::add(builder, at, &chardev, &channel.backend, Some(served));
        chardev
    };
    port(builder, at, id, &chardev, &channel.name);
}

fn port(builder: &mut Builder<'_>, at: At<'_>, id: &str, chardev: &str, name: &str) {
    builder.port_name(at, name);
    let props = Props::from([("chardev", chardev.into()), ("name", name.into())]);
    builder.device(at, "virtserialport", id, props, Connector::VirtioSerial(VirtioSerialRequest::default()));
}
