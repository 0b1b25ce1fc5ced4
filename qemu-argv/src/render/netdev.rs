//! `-netdev`: one function a backend.

use super::address::socket_address;
use super::{chardev, user_net};
use crate::config::{
    BridgeNet, CharBackend, DgramNet, HubportNet, InheritedNet, L2tpv3Net, NetBackend, PasstNet,
    SocketAddress, SocketKind, SocketNet, StreamNet, TapNet, TapOpener, VdeNet,
};
use crate::draft::Draft;
use crate::error::At;
use crate::name::join;
use crate::parts::FdRole;
use crate::value::{Props, Value};

/// Adds the backend `id` with that many queue pairs.
pub(super) fn netdev(draft: &mut Draft<'_>, at: At<'_>, id: &str, backend: &NetBackend, queues: Option<u16>) {
    let at_queues = at.field("queues");
    let at = at.field("backend");
    let many = matches!(backend, NetBackend::Tap(_) | NetBackend::VhostUser(_) | NetBackend::VhostVdpa(_));
    if queues.is_some() && !many {
        draft.conflict(at_queues, "only tap, vhost-user and vhost-vdpa have several queues");
    }
    let count = queues.unwrap_or(1);
    let (kind, props) = match backend {
        NetBackend::User(net) => ("user", user_net::user(draft, at, net)),
        NetBackend::Tap(net) => ("tap", tap(draft, at, id, net, count)),
        NetBackend::Bridge(net) => ("bridge", bridge(draft, at, net)),
        NetBackend::Socket(net) => ("socket", socket(draft, at, net)),
        NetBackend::Stream(net) => ("stream", stream(draft, at, net)),
        NetBackend::Dgram(net) => ("dgram", dgram(draft, at, net)),
        NetBackend::Inherited(net) => inherited(draft, at, id, net),
        NetBackend::Vde(net) => ("vde", vde(draft, at, net)),
        NetBackend::Passt(net) => ("passt", passt(draft, at, net)),
        NetBackend::VhostUser(net) => {
            draft.shared_memory = true;
            let name = join([id, "-chardev"]);
            let mut backend = CharBackend::unix_client(&net.path);
            if let CharBackend::Socket { server, .. } = &mut backend {
                *server = net.server;
            }
            chardev::add(draft, at, &name, &backend, None);
            ("vhost-user", Props::new().with("chardev", name).with("queues", count))
        }
        NetBackend::VhostVdpa(net) => {
            let device = draft.path(at.field("device"), &net.device);
            ("vhost-vdpa", Props::new().with("vhostdev", device).with_some("queues", queues))
        }
        NetBackend::L2tpv3(net) => ("l2tpv3", l2tpv3(draft, at, net)),
        NetBackend::Hubport(net) => ("hubport", hubport(draft, at, id, net)),
    };
    draft.netdev(at, kind, id, props);
}

/// QEMU's lists of texts: `[{"str": …}]`.
pub(super) fn texts(items: impl Iterator<Item = String>) -> Option<Value> {
    let list: Vec<_> = items.map(|item| Value::from(Props::new().with("str", item))).collect();
    (!list.is_empty()).then_some(Value::List(list))
}

/// The kernel's names of interfaces; QEMU would cut a longer one silently.
fn check_interface(draft: &mut Draft<'_>, at: At<'_>, name: &str) {
    let good = (1..=15).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.bytes().any(|byte| byte == b'/' || byte == b':' || byte <= b' ' || byte == 0x7f);
    if !good {
        draft.invalid(
            at,
            name,
            "is no name of a network interface: 1 to 15 bytes, no spaces, slashes or colons",
        );
    }
}

fn tap(draft: &mut Draft<'_>, at: At<'_>, id: &str, net: &TapNet, queues: u16) -> Props {
    if let Some(name) = &net.ifname {
        check_interface(draft, at.field("ifname"), name);
    }
    if net.open_by == TapOpener::Launcher {
        if net.script.is_some() || net.down_script.is_some() {
            draft.conflict(
                at.field("script"),
                "QEMU runs no scripts for an interface that the launcher opens",
            );
        }
        let mut list = |role: &dyn Fn(u16) -> FdRole| {
            let fds: Vec<_> = (0..queues).map(|queue| draft.fd_text(role(queue))).collect();
            fds.join(":")
        };
        let taps = list(&|queue| FdRole::Tap { network: id.to_owned(), queue });
        let vhosts = net.vhost.then(|| list(&|queue| FdRole::VhostNet { network: id.to_owned(), queue }));
        let (one, many) = if queues == 1 { ("fd", "vhostfd") } else { ("fds", "vhostfds") };
        return Props::new().with(one, taps).with("vhost", net.vhost).with_some(many, vhosts);
    }
    let mut script = |field, path: &Option<std::path::PathBuf>| match path {
        Some(path) => {
            draft.sandbox.spawn = true;
            draft.path(at.field(field), path)
        }
        // Left out, QEMU would run /etc/qemu-ifup.
        None => Value::from("no"),
    };
    let up = script("script", &net.script);
    let down = script("down_script", &net.down_script);
    Props::new()
        .with_some("ifname", net.ifname.as_ref())
        .with("script", up)
        .with("downscript", down)
        .with("vhost", net.vhost)
        .with_some("queues", (queues > 1).then_some(queues))
}

fn bridge(draft: &mut Draft<'_>, at: At<'_>, net: &BridgeNet) -> Props {
    check_interface(draft, at.field("bridge"), &net.bridge);
    draft.sandbox.spawn = true;
    draft.sandbox.elevate = true;
    let mut props = Props::new().with("br", &net.bridge);
    if let Some(helper) = &net.helper {
        let helper = draft.path(at.field("helper"), helper);
        props.set("helper", helper);
    }
    props
}

fn socket(draft: &mut Draft<'_>, at: At<'_>, net: &SocketNet) -> Props {
    let mut inet = |field, address: &SocketAddress| match address {
        SocketAddress::Inet { host, port } => format!("{}:{port}", draft.host(at.field(field), host)),
        SocketAddress::Unix { .. } => {
            draft.conflict(at.field(field), "this protocol has only HOST:PORT; use `stream` or `dgram`");
            String::new()
        }
    };
    match net {
        SocketNet::Listen { address } => Props::new().with("listen", inet("address", address)),
        SocketNet::Connect { address } => Props::new().with("connect", inet("address", address)),
        SocketNet::Mcast { address, local } => Props::new()
            .with("mcast", inet("address", address))
            .with_some("localaddr", local.map(|address| address.to_string())),
        SocketNet::Udp { address, local } => {
            Props::new().with("udp", inet("address", address)).with("localaddr", inet("local", local))
        }
    }
}

fn stream(draft: &mut Draft<'_>, at: At<'_>, net: &StreamNet) -> Props {
    draft.needs(at, "netdev stream", 7, 2);
    let address = socket_address(draft, at.field("address"), &net.address);
    let mut props = Props::new().with("server", net.server).with("addr", address);
    if net.reconnect_ms.is_some()
        && draft.needs(at.field("reconnect_ms"), "a stream that connects again", 8, 0)
        && let Some((key, value)) = chardev::reconnect(draft, at, net.reconnect_ms, net.server)
    {
        props.set(key, value);
    }
    props
}

fn dgram(draft: &mut Draft<'_>, at: At<'_>, net: &DgramNet) -> Props {
    draft.needs(at, "netdev dgram", 7, 2);
    let mut props = Props::new();
    match (&net.local, &net.remote) {
        (Some(SocketAddress::Unix { .. }), SocketAddress::Inet { .. })
        | (Some(SocketAddress::Inet { .. }), SocketAddress::Unix { .. }) => {
            draft.conflict(at, "both ends are of one kind");
        }
        (None, remote) => {
            let multicast = matches!(remote, SocketAddress::Inet { host, .. }
                if host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_multicast()));
            if !multicast {
                draft.conflict(at.field("local"), "only a multicast group needs no end of ours");
            }
        }
        _ => {}
    }
    if let Some(local) = &net.local {
        props.set("local", socket_address(draft, at.field("local"), local));
    }
    props.set("remote", socket_address(draft, at.field("remote"), &net.remote));
    props
}

fn inherited(draft: &mut Draft<'_>, at: At<'_>, id: &str, net: &InheritedNet) -> (&'static str, Props) {
    let fd = draft.fd(FdRole::NetSocket { network: id.to_owned() }).to_string();
    let address = Props::new().with("type", "fd").with("str", fd);
    match net.kind {
        SocketKind::Stream => {
            draft.needs(at, "netdev stream", 7, 2);
            ("stream", Props::new().with("server", false).with("addr", address))
        }
        SocketKind::Dgram => {
            draft.needs(at, "netdev dgram", 7, 2);
            ("dgram", Props::new().with("local", address))
        }
    }
}

fn vde(draft: &mut Draft<'_>, at: At<'_>, net: &VdeNet) -> Props {
    let mut props = Props::new();
    if let Some(socket) = &net.socket {
        let socket = draft.path(at.field("socket"), socket);
        props.set("sock", socket);
    }
    props.with_some("port", net.port).with_some("group", net.group.as_ref()).with_some("mode", net.mode)
}

fn passt(draft: &mut Draft<'_>, at: At<'_>, net: &PasstNet) -> Props {
    draft.needs(at, "netdev passt", 10, 1);
    // passt shuts itself in by mounts, for which any filter of QEMU's has the kernel kill it.
    if draft.config.sandbox.enabled {
        draft.conflict(
            at,
            "QEMU's seccomp filter kills passt: set `sandbox.enabled = false`, or start passt yourself and join it by \
             a `stream`",
        );
    }
    let mut props = Props::new();
    if let Some(path) = &net.path {
        let path = draft.path(at.field("path"), path);
        props.set("path", path);
    }
    if let Some(name) = &net.interface {
        check_interface(draft, at.field("interface"), name);
    }
    props
        .with("quiet", true)
        .with_some("address", net.address.map(|address| address.to_string()))
        .with_some("netmask", net.netmask.as_ref())
        .with_some("gateway", net.gateway.map(|address| address.to_string()))
        .with_some("interface", net.interface.as_ref())
        .with_some("dns", net.dns.as_ref())
        .with_some("mtu", net.mtu)
        .with_some("tcp-ports", texts(net.tcp_ports.iter().cloned()))
        .with_some("udp-ports", texts(net.udp_ports.iter().cloned()))
}

fn l2tpv3(draft: &mut Draft<'_>, at: At<'_>, net: &L2tpv3Net) -> Props {
    if net.src_port.is_some() != net.dst_port.is_some() {
        draft.conflict(at, "a UDP tunnel needs both `src_port` and `dst_port`");
    }
    Props::new()
        .with("src", &net.src)
        .with("dst", &net.dst)
        .with("txsession", net.tx_session)
        .with_some("rxsession", net.rx_session)
        .with_some("udp", net.src_port.map(|_| true))
        .with_some("srcport", net.src_port.map(|port| port.to_string()))
        .with_some("dstport", net.dst_port.map(|port| port.to_string()))
        .with_some("ipv6", net.ipv6.then_some(true))
}

fn hubport(draft: &mut Draft<'_>, at: At<'_>, id: &str, net: &HubportNet) -> Props {
    let mut props = Props::new().with("hubid", net.hub);
    if let Some(other) = &net.netdev {
        let before: Vec<_> = draft.netdevs.iter().map(|netdev| netdev.id.clone()).collect();
        let known = before.iter().map(smol_str::SmolStr::as_str).filter(|known| *known != id);
        draft.refer(at.field("netdev"), "network above this one", other, known);
        props.set("netdev", other);
    }
    props
}
