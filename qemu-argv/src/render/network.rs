//! Network interfaces: a backend, then the device the guest sees.

use std::collections::BTreeMap;

use super::netdev;
use crate::config::{MacAddress, NetBackend, Network, NicModel};
use crate::draft::Draft;
use crate::error::{At, Fault};
use crate::plan::ids::stable_hash;
use crate::plan::topology::{Connector, Family, PciRequest, UsbRequest, VirtioTransport};
use crate::value::Props;

pub(super) fn networks(draft: &mut Draft<'_>) {
    let config = draft.config;
    let ids = draft.ids("networks", "net", &config.networks, |network| network.id.as_deref());
    let mut macs: BTreeMap<[u8; 6], usize> = BTreeMap::new();
    for (index, (network, id)) in config.networks.iter().zip(ids).enumerate() {
        let at = At::ROOT.item("networks", index);
        check_queues(draft, at, network);
        netdev::netdev(draft, at, &id, &network.backend, network.queues);
        if network.model == NicModel::None {
            no_device(draft, at, network);
            continue;
        }
        let mac = network.mac.unwrap_or_else(|| mac_of(&draft.name, &id));
        if mac.0[0] & 1 == 1 {
            draft.invalid(
                at.field("mac"),
                &mac.to_string(),
                "is a multicast address: the first octet must be even",
            );
        }
        if let Some(first) = macs.insert(mac.0, index) {
            let first = At::ROOT.item("networks", first).field("mac").path();
            let fault = Fault::Duplicate { what: "the MAC address", value: mac.to_string(), first };
            draft.fault(at.field("mac"), fault);
        }
        device(draft, at, &id, network, mac);
    }
}

fn check_queues(draft: &mut Draft<'_>, at: At<'_>, network: &Network) {
    let Some(queues) = network.queues else { return };
    if !(1..=256).contains(&queues) {
        draft.invalid(at.field("queues"), &queues.to_string(), "is no number of queue pairs: 1 to 256");
    }
    if queues > 1 && network.model != NicModel::Virtio {
        draft.conflict(at.field("queues"), "only virtio interfaces have several queues");
    }
}

/// Made from the VM's name and the interface's id, so that it is the same every time. `52:54:00` is QEMU's own prefix.
fn mac_of(name: &str, id: &str) -> MacAddress {
    let hash = stable_hash(&[name.as_bytes(), id.as_bytes()]).to_be_bytes();
    MacAddress([0x52, 0x54, 0x00, hash[0], hash[1], hash[2]])
}

fn no_device(draft: &mut Draft<'_>, at: At<'_>, network: &Network) {
    let Network {
        id: _,
        backend: _,
        model: _,
        mac,
        boot_index,
        queues: _,
        mtu,
        address,
        hotplug,
        properties,
    } = network;
    let placed = address.is_some() || hotplug.is_some();
    if mac.is_some() || boot_index.is_some() || mtu.is_some() || placed || !properties.is_empty() {
        draft.conflict(at.field("model"), "without a device there is nothing to set on one");
    }
}

fn device(draft: &mut Draft<'_>, at: At<'_>, id: &str, network: &Network, mac: MacAddress) {
    let virtio = network.model == NicModel::Virtio;
    let mut props = Props::new().with("netdev", id).with("mac", mac.text());
    if let Some(index) = network.boot_index {
        draft.boot_index(at, index);
        props.set("bootindex", index);
    }
    if let Some(queues) = network.queues.filter(|queues| *queues > 1) {
        props.set("mq", true);
        if draft.board.machine.virtio_transport() == VirtioTransport::Pci {
            // A vector for each queue of a pair, for changes of configuration and for control.
            props.set("vectors", u32::from(queues) * 2 + 2);
        }
    }
    if let Some(mtu) = network.mtu {
        if !virtio {
            draft.conflict(at.field("mtu"), "only virtio interfaces are told an MTU");
        }
        if mtu < 68 {
            draft.invalid(at.field("mtu"), &mtu.to_string(), "is less than the 68 bytes of IPv4");
        }
        props.set("host_mtu", mtu);
    }
    if matches!(network.backend, NetBackend::VhostUser(_) | NetBackend::VhostVdpa(_)) && !virtio {
        draft.conflict(at.field("model"), "vhost-user and vhost-vdpa need a virtio interface");
    }
    let properties_at = at.field("properties");
    draft.check_keys(properties_at, &network.properties);
    props.extend(network.properties.clone());
    add(draft, at, id, network, props);
}

fn add(draft: &mut Draft<'_>, at: At<'_>, id: &str, network: &Network, props: Props) {
    use NicModel as Model;
    let express = matches!(network.model, Model::Virtio | Model::E1000e | Model::Igb);
    let mut pci = if express { PciRequest::express() } else { PciRequest::conventional() };
    pci.address.clone_from(&network.address);
    pci.hotplug = network.hotplug.map_or(pci.hotplug, |wanted| Some(wanted).into());
    let driver = match network.model {
        Model::Virtio => {
            let driver = draft.board.virtio("virtio-net");
            return draft.device(at, driver, id, props, Connector::Virtio(pci));
        }
        Model::UsbNet => {
            if network.address.is_some() {
                draft.conflict(at.field("address"), "a USB interface has no PCI address");
            }
            return draft.device(at, "usb-net", id, props, Connector::Usb(UsbRequest::default()));
        }
        Model::SpaprVlan => {
            if draft.board.family() != Family::Pseries {
                draft.not_here(at.field("model"), "spapr-vlan", "; it is for pseries");
            }
            draft.fixed_device(at, "spapr-vlan", id, props);
            return;
        }
        Model::None => return,
        Model::Igb => {
            draft.needs(at.field("model"), "igb", 8, 0);
            "igb"
        }
        Model::E1000 => "e1000",
        Model::E1000_82544gc => "e1000-82544gc",
        Model::E1000_82545em => "e1000-82545em",
        Model::E1000e => "e1000e",
        Model::Rtl8139 => "rtl8139",
        Model::Vmxnet3 => "vmxnet3",
        Model::Ne2kPci => "ne2k_pci",
        Model::Pcnet => "pcnet",
        Model::Tulip => "tulip",
        Model::I82550 => "i82550",
        Model::I82551 => "i82551",
        Model::I82557b => "i82557b",
        Model::I82558b => "i82558b",
        Model::I82559er => "i82559er",
        Model::I82562 => "i82562",
        Model::Sungem => "sungem",
        Model::Sunhme => "sunhme",
    };
    draft.device(at, driver, id, props, Connector::Pci(pci));
}
