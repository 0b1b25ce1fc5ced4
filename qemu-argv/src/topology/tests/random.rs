//! Random machines keep the rules, and planning again moves nothing.

use proptest::prelude::*;
use proptest::sample::select;

use super::super::*;
use super::check::check;
use crate::value::Props;

fn machines() -> impl Strategy<Value = Machine> {
    let types = vec![
        ("x86_64", "q35"),
        ("x86_64", "pc"),
        ("x86_64", "isapc"),
        ("x86_64", "microvm"),
        ("x86_64", "none"),
        ("aarch64", "virt"),
        ("riscv64", "virt"),
        ("loongarch64", "virt"),
        ("ppc64", "pseries"),
        ("s390x", "s390-ccw-virtio"),
        ("mips64el", "malta"),
        ("sparc64", "sun4u"),
        ("ppc", "g3beige"),
        ("x86_64", "xenfv"),
        ("m68k", "virt"),
        ("arm", "vexpress-a15"),
    ];
    let flag = any::<bool>;
    let virtio = select(vec![None, None, Some(VirtioTransport::Pci), Some(VirtioTransport::Mmio)]);
    (select(types), flag(), flag(), flag(), flag(), flag(), virtio).prop_map(
        |((arch, name), usb, sata, smbus, pcie, amd_iommu, virtio)| {
            Machine::new(arch, name, MachineOptions { usb, sata, smbus, pcie, virtio, amd_iommu })
        },
    )
}

fn address() -> impl Strategy<Value = Option<Address>> {
    let pci = (0u8..32, 0u8..3).prop_map(|(slot, function)| format!("{slot:02x}.{function}"));
    let some = prop_oneof![
        8 => pci,
        1 => (0u8..3).prop_map(|port| format!("rp{port}:00.0")),
        1 => (0u16..40).prop_map(|devno| format!("fe.0.{devno:04x}")),
        1 => (0u8..40).prop_map(|bus| format!("virtio-mmio-bus.{bus}")),
    ];
    let some = some.prop_map(|text| Some(text.parse().expect("is an address")));
    prop_oneof![20 => Just(None), 1 => some]
}

fn pci() -> impl Strategy<Value = PciRequest> {
    let hotplug = select(vec![Hotplug::Never, Hotplug::Preferred, Hotplug::Preferred, Hotplug::Required]);
    (any::<bool>(), hotplug, address(), prop::bool::weighted(0.9))
        .prop_map(|(express, hotplug, address, share)| PciRequest { express, hotplug, address, share })
}

fn connector() -> impl Strategy<Value = (Connector, Option<Provides>)> {
    let small = || prop_oneof![9 => Just(None), 1 => (0u16..40).prop_map(Some)];
    prop_oneof![
        8 => pci().prop_map(|pci| (Connector::Virtio(pci), None)),
        3 => pci().prop_map(|pci| (Connector::Pci(pci), None)),
        1 => pci().prop_map(|pci| (Connector::Virtio(pci), Some(Provides::Scsi { targets: 7 }))),
        2 => small().prop_map(|target| {
            (Connector::Scsi(ScsiRequest { target, ..ScsiRequest::default() }), None)
        }),
        2 => Just((Connector::Sata { bus: None }, None)),
        1 => Just((Connector::Ide { at: None }, None)),
        2 => small().prop_map(|port| {
            let port = port.map(|port| format!("{}.{}", port % 9, port % 3));
            (Connector::Usb(UsbRequest { port, ..UsbRequest::default() }), None)
        }),
        2 => (small(), any::<bool>()).prop_map(|(nr, console)| {
            (Connector::VirtioSerial(VirtioSerialRequest { nr, console, controller: None }), None)
        }),
    ]
}

/// Turns wishes that the machine can never meet into similar ones that it can.
fn tame(machine: Machine, request: &mut DeviceRequest) {
    let root = machine.pci();
    let hotplug = root.as_ref().is_some_and(|root| root.express || root.hotplug);
    match &mut request.connector {
        Connector::Pci(pci) | Connector::Virtio(pci) => {
            pci.address = None;
            if !hotplug && pci.hotplug == Hotplug::Required {
                pci.hotplug = Hotplug::Preferred;
            }
        }
        Connector::Ide { .. } if root.is_some() => request.connector = Connector::Sata { bus: None },
        Connector::Scsi(scsi) => scsi.target = None,
        Connector::Usb(usb) => usb.port = None,
        Connector::VirtioSerial(port) => port.nr = None,
        _ => {}
    }
    let carried = machine.virtio_transport() != VirtioTransport::Pci || root.is_some();
    if root.is_none()
        && carried
        && !matches!(request.connector, Connector::VirtioSerial(_) | Connector::Scsi(_))
    {
        request.connector = Connector::Virtio(PciRequest::express());
    }
}

/// A machine and devices for it; most of the devices ask for nothing impossible.
fn planned(most: usize) -> impl Strategy<Value = (Machine, Vec<DeviceRequest>)> {
    (machines(), requests(most), prop::collection::vec(prop::bool::weighted(0.02), most)).prop_map(
        |(machine, mut requests, wild)| {
            for (request, wild) in requests.iter_mut().zip(wild) {
                if !wild {
                    tame(machine, request);
                }
            }
            (machine, requests)
        },
    )
}

fn requests(most: usize) -> impl Strategy<Value = Vec<DeviceRequest>> {
    // Some ids are those that the planner would choose itself.
    let name = |number: usize| match number % 17 {
        3 => format!("rp{number}"),
        5 => format!("scsi{}", number % 3),
        _ => format!("dev{number}"),
    };
    prop::collection::vec(connector(), 0..most).prop_map(move |connectors| {
        let mut seen = BTreeSet::new();
        let requests = connectors.into_iter().enumerate().map(|(number, (connector, provides))| {
            DeviceRequest { id: name(number).into(), connector, provides }
        });
        requests.filter(|request| seen.insert(request.id.clone())).collect()
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn every_topology_keeps_the_rules((machine, requests) in planned(60), ports in prop::option::of(0u8..12)) {
        match Topology::plan(machine, &requests, ports, None) {
            Ok(topology) => {
                check(&topology, &requests);
                if let Some(wanted) = ports.filter(|_| machine.pci().is_some_and(|root| root.express)) {
                    prop_assert!(topology.free_ports().len() >= usize::from(wanted));
                }
                let saved = serde_json::to_string(&topology).expect("is plain data");
                let back: Topology = serde_json::from_str(&saved).expect("reads back");
                prop_assert_eq!(&back, &topology);
                let again = Topology::plan(machine, &requests, ports, Some(&back));
                prop_assert_eq!(again, Ok(topology));
            }
            Err(problems) => prop_assert!(!problems.is_empty()),
        }
    }

    #[test]
    fn a_change_moves_nothing_else(
        (machine, requests) in planned(40),
        changes in prop::collection::vec((any::<prop::sample::Index>(), connector()), 1..6),
    ) {
        let Ok(mut topology) = Topology::plan(machine, &requests, None, None) else { return Ok(()) };
        let mut now = requests;
        for (number, (index, (connector, provides))) in changes.into_iter().enumerate() {
            let at = index.index(now.len() + 1);
            let mut next = now.clone();
            if number % 2 == 0 || at >= now.len() {
                next.insert(at.min(now.len()), DeviceRequest { id: format!("new{number}").into(), connector, provides });
            } else {
                next.remove(at);
            }
            // A device that finds no room, or takes an address that somebody has, is refused; nothing moves then.
            let Ok(planned) = Topology::plan(machine, &next, None, Some(&topology)) else { continue };
            check(&planned, &next);
            for (id, before) in topology.placements() {
                let Some(after) = planned.placement(id) else { continue };
                // With the controller it was on gone, a device must move.
                let owner = before.bus().and_then(|bus| bus.split_once('.')).map_or("", |(owner, _)| owner);
                if topology.placement(owner).is_some() && planned.placement(owner).is_none() {
                    continue;
                }
                prop_assert_eq!(place(before), place(after), "{} moved", id);
            }
            for before in topology.controllers() {
                let after = planned.controllers().iter().find(|after| after.id == before.id);
                if let Some(after) = after {
                    prop_assert_eq!(place(&before.placement), place(&after.placement), "{} moved", &before.id);
                } else {
                    prop_assert!(!before.is_pci_bus(), "{} is gone", &before.id);
                }
            }
            topology = planned;
            now = next;
        }
    }

    #[test]
    fn what_is_plugged_has_a_place_until_it_is_unplugged(
        (machine, requests) in planned(20),
        plugged in prop::collection::vec(connector(), 1..12),
    ) {
        let Ok(mut topology) = Topology::plan(machine, &requests, None, None) else { return Ok(()) };
        let mut now = requests;
        let mut last = None;
        for (number, (connector, provides)) in plugged.into_iter().enumerate() {
            let request = DeviceRequest { id: format!("plug{number}").into(), connector, provides };
            let before = topology.clone();
            let Ok(plugged) = topology.plug(&request) else {
                prop_assert_eq!(&topology, &before);
                continue;
            };
            prop_assert_eq!(topology.placement(&request.id), Some(&plugged.placement));
            now.push(request.clone());
            check(&topology, &now);
            last = Some(request.id);
        }
        if let Some(last) = last.filter(|last| topology.can_unplug(last).is_ok()) {
            let freed = topology.unplug(&last).expect("it said so");
            now.retain(|request| request.id != last);
            check(&topology, &now);
            prop_assert!(topology.placement(&last).is_none());
            prop_assert!(!topology.placements().any(|(_, other)| place(other) == place(&freed) && other != &Placement::Unplaced));
        }
    }
}

/// The place without the flags that depend on neighbours.
fn place(placement: &Placement) -> Props {
    let properties = placement.properties();
    let place = properties.iter().filter(|(name, _)| *name != "multifunction");
    place.fold(Props::new(), |place, (name, value)| place.with(name.to_owned(), value.clone()))
}
