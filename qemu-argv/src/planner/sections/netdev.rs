//! `-netdev`: one function a backend.

use super::address::socket_address;
use super::{chardev, user_net};
use crate::config::{
    BridgeNet, CharBackend, ConnectNet, DgramNet, HubportNet, InetAddress, InheritedNet, L2tpv3Net,
    ListenNet, McastNet, NetBackend, PasstNet, SocketAddress, SocketChardev, SocketKind, SocketNet,
    StreamNet, TapNet, TapOpener, UdpNet, UnixAddress, VdeNet,
};
use crate::name::join;
use crate::plan::FdRole;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::{Props, Value};

/// Adds the backend `id` with that many queue pairs.
pub(super) fn netdev(
    builder: &mut Builder<'_>,
    at: At<'_>,
    id: &str,
    backend: &NetBackend,
    queues: Option<u16>,
) {
    let at_queues = at.field("queues");
    let at = at.field("backend");
    let many = matches!(backend, NetBackend::Tap(_) | NetBackend::VhostUser(_) | NetBackend::VhostVdpa(_));
    if queues.is_some() && !many {
        builder.conflict(at_queues, "multiple queues are only supported by tap, vhost-user and vhost-vdpa");
    }
    let count = queues.unwrap_or(1);
    let (kind, props) = match backend {
        NetBackend::User(net) => ("user", user_net::user(builder, at, net)),
        NetBackend::Tap(net) => ("tap", tap(builder, at, id, net, count)),
        NetBackend::Bridge(net) => ("bridge", bridge(builder, at, net)),
        NetBackend::Socket(net) => ("socket", socket(builder, at, net)),
        NetBackend::Stream(net) => ("stream", stream(builder, at, net)),
        NetBackend::Dgram(net) => ("dgram", dgram(builder, at, net)),
        NetBackend::Inherited(net) => inherited(builder, at, id, net),
        NetBackend::Vde(net) => ("vde", vde(builder, at, net)),
        NetBackend::Passt(net) => ("socket", passt(builder, at, id, net)),
        NetBackend::VhostUser(net) => {
            builder.shared_memory = true;
            let name = join([id, "-chardev"]);
            let mut backend = CharBackend::unix_client(&net.path);
            if let CharBackend::Socket(SocketChardev { server, .. }) = &mut backend {
                *server = net.server;
            }
            chardev::add(builder, at, &name, &backend, None);
            ("vhost-user", Props::new().with("chardev", name).with("queues", count))
        }
        NetBackend::VhostVdpa(net) => {
            let device = builder.path(at.field("device"), &net.device);
            ("vhost-vdpa", Props::new().with("vhostdev", device).with_some("queues", queues))
        }
        NetBackend::L2tpv3(net) => ("l2tpv3", l2tpv3(builder, at, net)),
        NetBackend::Hubport(net) => ("hubport", hubport(builder, at, net)),
    };
    builder.netdev(at, kind, id, props);
}

/// The kernel's names of interfaces; QEMU would cut a longer one silently.
fn check_interface(builder: &mut Builder<'_>, at: At<'_>, name: &str) {
    let good = (1..=15).contains(&name.len())
        && !matches!(name, "." | "..")
        && !name.bytes().any(|byte| byte == b'/' || byte == b':' || byte <= b' ' || byte == 0x7f);
    if !good {
        builder.invalid(
            at,
            name,
            "is not a valid interface name: it must have 1 to 15 bytes, without spaces, slashes or colons",
        );
    }
}

fn tap(builder: &mut Builder<'_>, at: At<'_>, id: &str, net: &TapNet, queues: u16) -> Props {
    if let Some(name) = &net.ifname {
        check_interface(builder, at.field("ifname"), name);
    }
    if net.open_by == TapOpener::Launcher {
        if net.script.is_some() || net.down_script.is_some() {
            builder.conflict(
                at.field("script"),
                "scripts are not supported for an interface that the launcher opens",
            );
        }
        let mut list = |role: &dyn Fn(u16) -> FdRole| {
            let fds: Vec<_> = (0..queues).map(|queue| builder.fd_text(at, role(queue))).collect();
            fds.join(":")
        };
        let taps = list(&|queue| FdRole::Tap { network: id.to_owned(), queue });
        let vhosts = net.vhost.then(|| list(&|queue| FdRole::VhostNet { network: id.to_owned(), queue }));
        let (one, many) = if queues == 1 { ("fd", "vhostfd") } else { ("fds", "vhostfds") };
        return Props::new().with(one, taps).with("vhost", net.vhost).with_some(many, vhosts);
    }
    let mut script = |field, path: &Option<std::path::PathBuf>| match path {
        Some(path) => {
            builder.sandbox.spawn = true;
            builder.path(at.field(field), path)
        }
        // Without this, QEMU would run /etc/qemu-ifup.
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

fn bridge(builder: &mut Builder<'_>, at: At<'_>, net: &BridgeNet) -> Props {
    check_interface(builder, at.field("bridge"), &net.bridge);
    builder.sandbox.spawn = true;
    builder.sandbox.elevate = true;
    let mut props = Props::new().with("br", &net.bridge);
    if let Some(helper) = &net.helper {
        let helper = builder.path(at.field("helper"), helper);
        props.set("helper", helper);
    }
    props
}

fn socket(builder: &mut Builder<'_>, at: At<'_>, net: &SocketNet) -> Props {
    let mut inet = |field, address: &SocketAddress| match address {
        SocketAddress::Inet(InetAddress { host, port }) => {
            format!("{}:{port}", builder.host(at.field(field), host))
        }
        SocketAddress::Unix(UnixAddress { .. }) => {
            builder
                .conflict(at.field(field), "this backend supports only HOST:PORT; use `stream` or `dgram`");
            String::new()
        }
    };
    match net {
        SocketNet::Listen(ListenNet { address }) => Props::new().with("listen", inet("address", address)),
        SocketNet::Connect(ConnectNet { address }) => Props::new().with("connect", inet("address", address)),
        SocketNet::Mcast(McastNet { address, local }) => Props::new()
            .with("mcast", inet("address", address))
            .with_some("localaddr", local.map(|address| address.to_string())),
        SocketNet::Udp(UdpNet { address, local }) => {
            Props::new().with("udp", inet("address", address)).with("localaddr", inet("local", local))
        }
    }
}

fn stream(builder: &mut Builder<'_>, at: At<'_>, net: &StreamNet) -> Props {
    builder.needs(at, "netdev stream", 7, 2);
    let address = socket_address(builder, at.field("address"), &net.address);
    let mut props = Props::new().with("server", net.server).with("addr", address);
    if net.reconnect_ms.is_some()
        && builder.needs(at.field("reconnect_ms"), "a stream that connects again", 8, 0)
        && let Some((key, value)) = chardev::reconnect(builder, at, net.reconnect_ms, net.server)
    {
        props.set(key, value);
    }
    props
}

fn dgram(builder: &mut Builder<'_>, at: At<'_>, net: &DgramNet) -> Props {
    builder.needs(at, "netdev dgram", 7, 2);
    let mut props = Props::new();
    match (&net.local, &net.remote) {
        (Some(SocketAddress::Unix(UnixAddress { .. })), SocketAddress::Inet(InetAddress { .. }))
        | (Some(SocketAddress::Inet(InetAddress { .. })), SocketAddress::Unix(UnixAddress { .. })) => {
            builder.conflict(at, "both endpoints must be of the same kind");
        }
        (None, remote) => {
            let multicast = matches!(remote, SocketAddress::Inet(InetAddress { host, .. })
                if host.parse::<std::net::IpAddr>().is_ok_and(|address| address.is_multicast()));
            if !multicast {
                builder.conflict(at.field("local"), "`local` may be omitted only for a multicast group");
            }
        }
        _ => {}
    }
    if let Some(local) = &net.local {
        props.set("local", socket_address(builder, at.field("local"), local));
    }
    props.set("remote", socket_address(builder, at.field("remote"), &net.remote));
    props
}

fn inherited(builder: &mut Builder<'_>, at: At<'_>, id: &str, net: &InheritedNet) -> (&'static str, Props) {
    match net.kind {
        SocketKind::Stream => ("socket", connected(builder, at, id)),
        SocketKind::Dgram => {
            let fd = builder.fd_text(at, FdRole::NetSocket { network: id.to_owned() });
            let address = Props::new().with("type", "fd").with("str", fd);
            builder.needs(at, "netdev dgram", 7, 2);
            ("dgram", Props::new().with("local", address))
        }
    }
}

/// A connected stream socket. QEMU's `stream` would look for a descriptor that a monitor was given in a thread that knows of
/// no monitor: it says nothing, and is never connected.
fn connected(builder: &mut Builder<'_>, at: At<'_>, id: &str) -> Props {
    Props::new().with("fd", builder.fd_text(at, FdRole::NetSocket { network: id.to_owned() }))
}

fn vde(builder: &mut Builder<'_>, at: At<'_>, net: &VdeNet) -> Props {
    let mut props = Props::new();
    if let Some(socket) = &net.socket {
        let socket = builder.path(at.field("socket"), socket);
        props.set("sock", socket);
    }
    props.with_some("port", net.port).with_some("group", net.group.as_ref()).with_some("mode", net.mode)
}

/// passt is started by the launcher, which has all else that the configuration says of it.
fn passt(builder: &mut Builder<'_>, at: At<'_>, id: &str, net: &PasstNet) -> Props {
    if let Some(path) = &net.path {
        builder.path(at.field("path"), path);
    }
    if let Some(name) = &net.interface {
        check_interface(builder, at.field("interface"), name);
    }
    connected(builder, at, id)
}

fn l2tpv3(builder: &mut Builder<'_>, at: At<'_>, net: &L2tpv3Net) -> Props {
    if net.src_port.is_some() != net.dst_port.is_some() {
        builder.conflict(at, "a UDP tunnel requires both `src_port` and `dst_port`");
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

fn hubport(builder: &mut Builder<'_>, at: At<'_>, net: &HubportNet) -> Props {
    let mut props = Props::new().with("hubid", net.hub);
    if let Some(other) = &net.netdev {
        builder.netdev_above(at.field("netdev"), other);
        props.set("netdev", other);
    }
    props
}
