//! Network interfaces: a backend, then the device the guest sees.

use super::netdev;
use crate::config::{MacAddress, NetBackend, Network, NicModel, VmConfig};
use crate::name::join;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::planner::ids::stable_hash;
use crate::topology::{Connector, Family, PciRequest, UsbRequest, VirtioTransport};
use crate::value::Props;

/// How many pairs of queues an interface can have.
const MOST_QUEUES: u16 = 256;

pub(super) fn networks(builder: &mut Builder<'_>, config: &VmConfig) {
    let ids = builder.ids("networks", "net", &config.networks, |network| network.id.as_deref());
    for (index, (network, id)) in config.networks.iter().zip(ids).enumerate() {
        one(builder, At::entry("networks", index), &id, network);
    }
}

pub(super) fn newcomer(builder: &mut Builder<'_>, network: &Network) {
    let (at, id) = builder.join("networks", "net", network, network.id.as_deref());
    one(builder, at, &id, network);
}

fn one(builder: &mut Builder<'_>, at: At<'_>, id: &str, network: &Network) {
    check_queues(builder, at, network);
    // More than may be are planned no further.
    let queues = network.queues.map(|queues| queues.min(MOST_QUEUES));
    netdev::netdev(builder, at, id, &network.backend, queues);
    if let Some(path) = &network.capture {
        let capture_at = at.field("capture");
        if matches!(network.backend, NetBackend::VhostUser(_) | NetBackend::VhostVdpa(_)) {
            builder.conflict(capture_at, "packets of this backend do not pass through QEMU");
        }
        let file = builder.path(capture_at, path);
        let props = Props::new().with("netdev", id.to_owned()).with("file", file);
        builder.object(at, "filter-dump", join([id, "-capture"]), props);
    }
    if builder.has_replay {
        let props = Props::new().with("netdev", id.to_owned());
        builder.object(at, "filter-replay", join([id, "-replay"]), props);
    }
    if network.model == NicModel::None {
        return no_device(builder, at, network);
    }
    let mac = network.mac.unwrap_or_else(|| mac_of(&builder.name, id));
    if mac.0[0] & 1 == 1 {
        builder.invalid(
            at.field("mac"),
            &mac.to_string(),
            "is a multicast address; the first octet must be even",
        );
    }
    builder.mac(at, mac);
    if network.model == NicModel::Board {
        return of_the_board(builder, at, id, network, mac);
    }
    device(builder, at, id, network, mac);
}

/// Connects an interface that is part of the board. Its only properties are those of `-net nic`.
fn of_the_board(builder: &mut Builder<'_>, at: At<'_>, id: &str, network: &Network, mac: MacAddress) {
    let placed = network.address.is_some() || network.hotplug.is_some();
    if network.boot_index.is_some() || network.mtu.is_some() || placed || !network.properties.is_empty() {
        builder.conflict(at.field("model"), "only the MAC address of a board's own interface can be set");
    }
    if builder.running {
        builder.conflict(at.field("model"), "a board's own interface cannot be hot-plugged");
    }
    builder.plain(at, "-net", format!("nic,netdev={id},macaddr={mac}"));
}

fn check_queues(builder: &mut Builder<'_>, at: At<'_>, network: &Network) {
    let Some(queues) = network.queues else { return };
    if !(1..=MOST_QUEUES).contains(&queues) {
        builder.invalid(
            at.field("queues"),
            &queues.to_string(),
            "is not a valid number of queue pairs; expected 1 to 256",
        );
    }
    if queues > 1 && network.model != NicModel::Virtio {
        builder.conflict(at.field("queues"), "multiple queues are only supported by virtio interfaces");
    }
}

/// Made from the VM's name and the interface's id, so that it is the same every time. `52:54:00` is QEMU's own prefix.
fn mac_of(name: &str, id: &str) -> MacAddress {
    let hash = stable_hash(&[name.as_bytes(), id.as_bytes()]).to_be_bytes();
    MacAddress([0x52, 0x54, 0x00, hash[0], hash[1], hash[2]])
}

fn no_device(builder: &mut Builder<'_>, at: At<'_>, network: &Network) {
    let Network {
        id: _,
        backend: _,
        model: _,
        mac,
        boot_index,
        queues: _,
        mtu,
        address,
        capture: _,
        hotplug,
        properties,
    } = network;
    let placed = address.is_some() || hotplug.is_some();
    if mac.is_some() || boot_index.is_some() || mtu.is_some() || placed || !properties.is_empty() {
        builder.conflict(at.field("model"), "device settings are not allowed with `model = \"none\"`");
    }
}

fn device(builder: &mut Builder<'_>, at: At<'_>, id: &str, network: &Network, mac: MacAddress) {
    let virtio = network.model == NicModel::Virtio;
    let mut props = Props::new().with("netdev", id).with("mac", mac.text());
    if let Some(index) = network.boot_index {
        builder.boot_index(at, index);
        props.set("bootindex", index);
    }
    if let Some(queues) = network.queues.filter(|queues| *queues > 1) {
        props.set("mq", true);
        let request = PciRequest { address: network.address.clone(), ..PciRequest::express() };
        if builder.board.machine.transport_of(&request) == VirtioTransport::Pci {
            // A vector for each queue of a pair, for changes of configuration and for control.
            props.set("vectors", u32::from(queues) * 2 + 2);
        }
    }
    if let Some(mtu) = network.mtu {
        if !virtio {
            builder.conflict(at.field("mtu"), "`mtu` is only supported by virtio interfaces");
        }
        if mtu < 68 {
            builder.invalid(at.field("mtu"), &mtu.to_string(), "is less than 68, the minimum of IPv4");
        }
        props.set("host_mtu", mtu);
    }
    if matches!(network.backend, NetBackend::VhostUser(_) | NetBackend::VhostVdpa(_)) && !virtio {
        builder.conflict(at.field("model"), "vhost-user and vhost-vdpa require a virtio interface");
    }
    let properties_at = at.field("properties");
    builder.check_keys(properties_at, &network.properties);
    props.extend(network.properties.clone());
    add(builder, at, id, network, props);
}

fn add(builder: &mut Builder<'_>, at: At<'_>, id: &str, network: &Network, props: Props) {
    use NicModel as Model;
    let express = matches!(network.model, Model::Virtio | Model::E1000e | Model::Igb);
    let mut pci = if express { PciRequest::express() } else { PciRequest::conventional() };
    pci.address.clone_from(&network.address);
    pci.hotplug = network.hotplug.map_or(pci.hotplug, |wanted| Some(wanted).into());
    let driver = network.model.driver();
    match network.model {
        Model::Virtio => {
            let driver = builder.board.virtio(driver, &pci);
            return builder.device(at, driver, id, props, Connector::Virtio(pci));
        }
        Model::UsbNet => {
            if network.address.is_some() {
                builder.conflict(at.field("address"), "`address` is not supported by USB interfaces");
            }
            return builder.device(at, driver, id, props, Connector::Usb(UsbRequest::default()));
        }
        Model::SpaprVlan => {
            if builder.board.family() != Family::Pseries {
                builder.not_here(at.field("model"), driver, "; it requires pseries");
            }
            builder.fixed_device(at, driver, id, props);
            return;
        }
        Model::Board | Model::None => return,
        Model::Igb => {
            builder.needs(at.field("model"), driver, 8, 0);
        }
        _ => {}
    }
    builder.device(at, driver, id, props, Connector::Pci(pci));
}
