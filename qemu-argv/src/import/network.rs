//! Network interfaces: a device and its backend together.

use super::bag::{Bag, Why};
use super::line::Line;
use super::netdev::{self, Backend};
use crate::config::{MacAddress, NetBackend, Network, NicModel, VmConfig};
use crate::qemu_target::Arch;

/// Interfaces, each with what says its place among the others.
pub(super) type Interfaces = Vec<(usize, Network)>;

pub(super) fn model(driver: &str) -> Option<NicModel> {
    if matches!(driver, "virtio" | "virtio-net-pci" | "virtio-net-ccw" | "virtio-net-device") {
        return Some(NicModel::Virtio);
    }
    NicModel::of_driver(driver)
}

/// The model that a board has by itself.
fn default_model(line: &Line) -> Option<NicModel> {
    match line.arch {
        Arch::X86_64 | Arch::I386 if line.is_q35() => Some(NicModel::E1000e),
        Arch::X86_64 | Arch::I386 if line.is_pc() => Some(NicModel::E1000),
        Arch::Aarch64 | Arch::Arm | Arch::Loongarch64 if line.is_virt() => Some(NicModel::Virtio),
        Arch::S390x => Some(NicModel::Virtio),
        Arch::Ppc64 => Some(NicModel::SpaprVlan),
        Arch::Mips | Arch::Mipsel | Arch::Mips64 | Arch::Mips64el => Some(NicModel::Pcnet),
        _ => None,
    }
}

/// A device that refers to `netdev`, whose bag has no driver, id or place any more.
pub(super) fn device(
    line: &mut Line,
    config: &VmConfig,
    id: Option<String>,
    model: NicModel,
    mut bag: Bag,
    interfaces: &mut Interfaces,
) -> Result<(), Why> {
    let netdev = bag.needed("netdev")?;
    let at =
        line.definition("netdev", &netdev).ok_or_else(|| format!("there is no network {netdev} for it"))?;
    let Backend { kind: backend, queues, options, open } = read(line, config, at)?;
    let mut network = Network { model, ..Network::new(backend) };
    network.id = id.or_else(|| line.planned.then(|| netdev.clone()));
    network.mac = mac(bag.text("mac")?)?;
    network.boot_index = bag.number("bootindex")?;
    network.mtu = bag.number("host_mtu")?;
    network.queues = queues;
    let several = bag.flag("mq")?.unwrap_or_default();
    let pairs = queues.unwrap_or(1);
    let vectors: Option<u32> = bag.number("vectors")?;
    if several != (pairs > 1) && !matches!(network.backend, NetBackend::VhostVdpa(_)) {
        return Err("the device and its backend do not agree in the number of queues".into());
    }
    if vectors.is_some_and(|vectors| vectors != u32::from(pairs) * 2 + 2) {
        return Err("a config has as many vectors as the queues need".into());
    }
    network.properties = bag.properties()?;
    network.capture = capture(line, &netdev);
    remark_open(line, at, open);
    line.typed(at);
    line.typed_all(&options);
    interfaces.push((at, network));
    Ok(())
}

fn read(line: &Line, config: &VmConfig, at: usize) -> Result<Backend, Why> {
    let mut bag = line.bag(at);
    let kind = bag.needed("type")?;
    bag.take("id");
    netdev::backend(line, config, &kind, bag)
}

fn mac(text: Option<String>) -> Result<Option<MacAddress>, Why> {
    text.map(|text| {
        text.to_ascii_lowercase().parse().map_err(|_| "its MAC address is not written with colons".into())
    })
    .transpose()
}

/// The file of all packets, whose object has no name of its own.
fn capture(line: &mut Line, netdev: &str) -> Option<std::path::PathBuf> {
    let mut found = None;
    for at in line.open("object") {
        let mut bag = line.bag(at);
        let kind = bag.needed("qom-type").unwrap_or_default();
        let id = bag.needed("id").unwrap_or_default();
        let of_it = bag.needed("netdev").is_ok_and(|of| of == netdev);
        let usual = |ending: &str| !line.planned || id.strip_suffix(ending) == Some(netdev);
        if kind == "filter-replay" && of_it && bag.is_empty() && usual("-replay") && line.has("icount") {
            // All networks of a recording have one.
            line.typed(at);
        } else if kind == "filter-dump" && of_it && usual("-capture") && found.is_none() {
            let file = bag.needed("file");
            bag.take("maxlen");
            if let Ok(file) = file
                && bag.is_empty()
            {
                found = Some(file.into());
                line.typed(at);
            }
        }
    }
    found
}

/// Backends without a device, such as the ports of a hub.
pub(super) fn alone(line: &mut Line, config: &VmConfig, interfaces: &mut Interfaces) {
    for at in line.open("netdev") {
        let id = line.bag(at).peek("id").map(str::to_owned);
        // A device that is passed on as it is needs it as it is.
        let used = id.as_ref().is_some_and(|id| {
            line.options.iter().any(|option| {
                option.name == "device"
                    && option.bag.as_ref().is_some_and(|bag| bag.peek("netdev") == Some(id))
            })
        });
        if used {
            line.extra(at, "used by a device that is passed on unchanged");
            continue;
        }
        match read(line, config, at) {
            Ok(Backend { kind: backend, queues, options, .. }) => {
                line.typed(at);
                line.typed_all(&options);
                let capture = id.as_deref().and_then(|id| capture(line, id));
                let model = NicModel::None;
                interfaces.push((at, Network { id, model, queues, capture, ..Network::new(backend) }));
            }
            Err(why) => line.extra(at, why),
        }
    }
}

/// `-nic`, and a pair of `-net nic` and its network.
pub(super) fn shorthand(line: &mut Line, config: &VmConfig, interfaces: &mut Interfaces) {
    for at in line.open("nic") {
        let bag = line.bag(at);
        if bag.peek("type") == Some("none") {
            line.typed(at);
            continue;
        }
        match nic(line, config, bag, None) {
            Ok((network, open)) => {
                line.typed(at);
                remark_open(line, at, open);
                interfaces.push((at, network));
            }
            Err(why) => line.extra(at, why),
        }
    }
    for at in line.open("net") {
        if let Some((network, network_at, options)) = of_the_board(line, config, at) {
            line.typed_all(&[vec![at, network_at], options].concat());
            interfaces.push((at, network));
        }
    }
    let all = line.open("net");
    let of = |line: &Line, kind: &str| -> Vec<usize> {
        all.iter().copied().filter(|at| line.bag(*at).peek("type") == Some(kind)).collect()
    };
    line.typed_all(&of(line, "none"));
    let nics = of(line, "nic");
    let others: Vec<_> = line.open("net").into_iter().filter(|at| !nics.contains(at)).collect();
    let (&[card], &[network_at]) = (nics.as_slice(), others.as_slice()) else {
        line.extra_all(&[nics, others].concat(), "a config has no hub of several `-net`");
        return;
    };
    match nic(line, config, line.bag(network_at), Some(line.bag(card))) {
        Ok((network, open)) => {
            line.typed(card);
            line.typed(network_at);
            remark_open(line, network_at, open);
            interfaces.push((card, network));
        }
        Err(why) => line.extra_all(&[card, network_at], &why),
    }
}

/// `-net nic,netdev=…`, which connects an interface of the board.
fn of_the_board(line: &mut Line, config: &VmConfig, at: usize) -> Option<(Network, usize, Vec<usize>)> {
    let mut bag = line.bag(at);
    if bag.needed("type").ok()? != "nic" {
        return None;
    }
    let id = bag.needed("netdev").ok()?;
    let network_at = line.definition("netdev", &id)?;
    let mac = mac(bag.text("macaddr").ok()?).ok()?;
    bag.done().ok()?;
    let Backend { kind: backend, queues: None, options, .. } = read(line, config, network_at).ok()? else {
        return None;
    };
    let network = Network { id: Some(id), mac, model: NicModel::Board, ..Network::new(backend) };
    Some((network, network_at, options))
}

fn remark_open(line: &mut Line, at: usize, open: bool) {
    if open {
        let what = "forwarded ports listen on all addresses, as in QEMU; set `host_address = \"127.0.0.1\"` to restrict them to this host";
        line.remark(at, what);
    }
}

fn nic(line: &Line, config: &VmConfig, mut bag: Bag, card: Option<Bag>) -> Result<(Network, bool), Why> {
    let kind = bag.text("type")?.unwrap_or_else(|| "user".into());
    let is_pair = card.is_some();
    let mut card = if let Some(mut card) = card {
        card.take("type");
        card
    } else {
        let mut card = Bag::default();
        for key in ["model", "mac", "macaddr", "addr", "id"] {
            if let Some(value) = bag.take(key) {
                card.put(key, value);
            }
        }
        card
    };
    let name = card.text("model")?;
    let model = match &name {
        Some(name) => model(name).ok_or_else(|| format!("a config has no interface of the model {name}"))?,
        None => default_model(line).ok_or("the interface of this board is not in a config")?,
    };
    let mac_text = match card.text("mac")? {
        Some(mac) => Some(mac),
        None => card.text("macaddr")?,
    };
    let mac = mac(mac_text)?;
    let id = card.text("id")?;
    if is_pair {
        // What monitors call it.
        card.take("name");
        bag.take("name");
    }
    card.done()?;
    let Backend { kind: backend, queues, options, open } = netdev::backend(line, config, &kind, bag)?;
    if !options.is_empty() || queues.is_some() {
        return Err("a config has such a network with a device of its own".into());
    }
    Ok((Network { id, model, mac, ..Network::new(backend) }, open))
}

/// The interface that QEMU adds where none is given.
pub(super) fn by_default(line: &Line, interfaces: &mut Interfaces) {
    let given = ["net", "netdev", "nic"].iter().any(|name| line.has(name));
    if let Some(model) = default_model(line).filter(|_| !given && !line.planned && !line.has("nodefaults")) {
        interfaces.push((usize::MAX, Network { model, ..Network::default() }));
    }
}

/// Gives each interface the MAC address that QEMU would give it.
pub(super) fn addresses(networks: &mut [Network]) {
    let mut taken: Vec<_> = networks.iter().filter_map(|network| network.mac).collect();
    for network in
        networks.iter_mut().filter(|network| network.mac.is_none() && network.model != NicModel::None)
    {
        let numbers = (0..=u8::MAX).map(|number| 0x56_u8.wrapping_add(number));
        let addresses = numbers.map(|number| MacAddress([0x52, 0x54, 0, 0x12, 0x34, number]));
        network.mac = addresses.into_iter().find(|mac| !taken.contains(mac));
        taken.extend(network.mac);
    }
}
