//! Two guests and every kind of network between them, each on an interface of its own.

use std::fmt::Write as _;
use std::net::Ipv4Addr;
use std::os::fd::OwnedFd;
use std::os::unix::net::{UnixDatagram, UnixStream};
use std::path::Path;
use std::process::Stdio;
use std::sync::Arc;

use qemuctl::{
    Instance, LaunchOptions,
    config::{
        ConnectNet, DgramNet, HubportNet, InheritedNet, L2tpv3Net, ListenNet, MacAddress, McastNet,
        NetBackend, Network, NicModel, SocketAddress, SocketKind, SocketNet, StreamNet, TapNet, TapOpener,
        UdpNet, VdeNet,
    },
    qemu_argv::FdRole,
};

use super::{GENEROUS, interface, ip, linux, sh, start};
use crate::servers::{Server, isolated, program, scratch};

/// One end of each link, in the order of the links.
struct End {
    networks: Vec<Network>,
    options: LaunchOptions,
}

/// The links between two guests; the first is started before the second.
struct Links {
    ends: [End; 2],
    names: Vec<&'static str>,
    /// Further addresses that the second guest reaches, with the link's name.
    hosts: Vec<(&'static str, Ipv4Addr)>,
}

impl Links {
    fn new() -> Self {
        let end = || End { networks: Vec::new(), options: LaunchOptions::default() };
        Self { ends: [end(), end()], names: Vec::new(), hosts: Vec::new() }
    }

    /// Adds a link with a backend at each end.
    fn add(&mut self, name: &'static str, backends: [NetBackend; 2]) {
        let link = self.names.len();
        for (side, backend) in backends.into_iter().enumerate() {
            let network = interface(mac(side, link), backend);
            self.ends[side].networks.push(Network { id: Some(format!("link{link}")), ..network });
        }
        self.names.push(name);
    }

    /// Adds a link over two connected sockets that the guests' QEMUs inherit.
    fn add_sockets(&mut self, name: &'static str, kind: SocketKind, sockets: [OwnedFd; 2]) {
        let network = format!("link{}", self.names.len());
        self.add(name, [(); 2].map(|()| NetBackend::Inherited(InheritedNet { kind })));
        for (end, socket) in self.ends.iter_mut().zip(sockets) {
            let role = FdRole::NetSocket { network: network.clone() };
            end.options.descriptors.push((role, Arc::new(socket)));
        }
    }

    /// Adds a bridge of the host that has an address too, with a TAP interface for each guest.
    fn add_bridge(&mut self, name: &'static str, queues: Option<u16>, tap: impl Fn(String) -> TapNet) {
        let link = self.names.len();
        ip(&format!("link add br{link} type bridge"));
        let taps = ["a", "b"].map(|side| {
            let name = format!("{side}{link}");
            let many = if queues.is_some() { " multi_queue" } else { "" };
            ip(&format!("tuntap add dev {name} mode tap{many}"));
            ip(&format!("link set {name} master br{link} up"));
            NetBackend::Tap(tap(name))
        });
        ip(&format!("address add {}/24 dev br{link}", address(link, 2)));
        ip(&format!("link set br{link} up"));
        self.add(name, taps);
        for end in &mut self.ends {
            end.networks[link].queues = queues;
        }
        self.hosts.push((name, address(link, 2)));
    }

    /// Adds hubs inside the QEMUs with two ports each: the guest's interface, and a stream to the other hub.
    fn add_hubs(&mut self, dir: &Path) {
        let port =
            |netdev: Option<&str>| NetBackend::Hubport(HubportNet { hub: 1, netdev: netdev.map(Into::into) });
        self.add("hubport", [port(None), port(None)]);
        for (end, backend) in self.ends.iter_mut().zip(stream(&dir.join("hubs.sock"))) {
            let trunk = Network { id: Some("trunk".into()), model: NicModel::None, ..Network::new(backend) };
            end.networks.push(trunk);
            let port = Network { model: NicModel::None, ..Network::new(port(Some("trunk"))) };
            end.networks.push(Network { id: Some("trunk-port".into()), ..port });
        }
    }
}

/// The address of an interface: its guest, its link.
fn mac(side: usize, link: usize) -> MacAddress {
    let octet = |number: usize| u8::try_from(number).expect("few");
    MacAddress([0x52, 0x54, 0, 0, octet(side), octet(link)])
}

fn address(link: usize, host: usize) -> Ipv4Addr {
    let octet = |number: usize| u8::try_from(number).expect("few");
    Ipv4Addr::new(10, 77, octet(link), octet(host + 1))
}

fn inet(port: u16) -> SocketAddress {
    SocketAddress::inet("127.0.0.1", port)
}

fn group(port: u16) -> SocketAddress {
    SocketAddress::inet("239.1.2.3", port)
}

/// A server at the first end, a client at the second.
fn stream(socket: &Path) -> [NetBackend; 2] {
    [true, false].map(|server| {
        let address = SocketAddress::unix(socket);
        NetBackend::Stream(StreamNet { address, server, reconnect_ms: None })
    })
}

/// All kinds; the first QEMU must be one that connects a stream again.
fn every_kind(dir: &Path) -> Links {
    let mut links = Links::new();
    links.add("stream unix", stream(&dir.join("stream, 1.sock")));
    links.add(
        "stream inet, the client first",
        [(false, Some(1000)), (true, None)].map(|(server, reconnect_ms)| {
            NetBackend::Stream(StreamNet { address: inet(7001), server, reconnect_ms })
        }),
    );
    let (ours, theirs) = UnixStream::pair().expect("a pair");
    links.add_sockets("stream inherited", SocketKind::Stream, [ours.into(), theirs.into()]);
    let unix = |name| SocketAddress::unix(dir.join(name));
    links.add(
        "dgram unix",
        [("a.sock", "b.sock"), ("b.sock", "a.sock")].map(|(local, remote)| {
            NetBackend::Dgram(DgramNet { local: Some(unix(local)), remote: unix(remote) })
        }),
    );
    links.add(
        "dgram inet",
        [(7002, 7003), (7003, 7002)].map(|(local, remote)| {
            NetBackend::Dgram(DgramNet { local: Some(inet(local)), remote: inet(remote) })
        }),
    );
    let mcast = || NetBackend::Dgram(DgramNet { local: None, remote: group(7004) });
    links.add("dgram mcast", [mcast(), mcast()]);
    let (ours, theirs) = UnixDatagram::pair().expect("a pair");
    links.add_sockets("dgram inherited", SocketKind::Dgram, [ours.into(), theirs.into()]);
    links.add(
        "socket listen, connect",
        [
            SocketNet::Listen(ListenNet { address: inet(7005) }),
            SocketNet::Connect(ConnectNet { address: inet(7005) }),
        ]
        .map(NetBackend::Socket),
    );
    let local = Some(Ipv4Addr::LOCALHOST.into());
    let mcast = || NetBackend::Socket(SocketNet::Mcast(McastNet { address: group(7006), local }));
    links.add("socket mcast", [mcast(), mcast()]);
    links.add(
        "socket udp",
        [(7007, 7008), (7008, 7007)].map(|(local, remote)| {
            NetBackend::Socket(SocketNet::Udp(UdpNet { address: inet(remote), local: inet(local) }))
        }),
    );
    links.add(
        "l2tpv3",
        [(7009, 7010), (7010, 7009)].map(|(local, remote)| {
            NetBackend::L2tpv3(L2tpv3Net {
                src: "127.0.0.1".into(),
                dst: "127.0.0.1".into(),
                tx_session: 1,
                rx_session: None,
                src_port: Some(local),
                dst_port: Some(remote),
                ipv6: false,
            })
        }),
    );
    let vde = || NetBackend::Vde(VdeNet { socket: Some(dir.join("vde")), ..VdeNet::default() });
    links.add("vde", [vde(), vde()]);
    links.add_bridge("tap by name", None, |ifname| TapNet { ifname: Some(ifname), ..TapNet::default() });
    for (name, queues) in [("tap by the launcher", None), ("tap by the launcher, two queues", Some(2))] {
        links.add_bridge(name, queues, |ifname| TapNet {
            ifname: Some(ifname),
            open_by: TapOpener::Launcher,
            ..TapNet::default()
        });
    }
    links.add_hubs(dir);
    links
}

/// Gives the interfaces of a guest their addresses.
fn set_up(side: usize, links: usize) -> String {
    let mut script =
        "killall udhcpc; cd /sys/class/net; for nic in *; do case $(cat $nic/address) in\n".to_owned();
    for link in 0..links {
        let (mac, address) = (mac(side, link), address(link, side));
        writeln!(
            script,
            "{mac}) ip addr flush dev $nic; ip addr add {address}/24 dev $nic; ip link set $nic up;;"
        )
        .expect("a String takes it");
    }
    script + "esac; done"
}

/// Starts both guests, and has the second ask the first over each link.
async fn cross(versions: [&str; 2]) {
    let dir = scratch();
    ip("route add 224.0.0.0/4 dev lo");
    let mut switch = Server::start(dir.path(), program("vde_switch"), |command| {
        // It ends when nobody can type at it any more.
        command.args(["--sock", "vde", "--mode", "0600"]).stdin(Stdio::piped());
    });
    let control = dir.path().join("vde/ctl");
    switch.ready(|| control.exists().then_some(())).await;
    let Links { ends, names, hosts } = every_kind(dir.path());
    let mut vms: Vec<Instance> = Vec::new();
    for ((end, version), name) in ends.into_iter().zip(versions).zip(["first", "second"]) {
        let mut config = linux(version, dir.path(), name);
        config.networks = end.networks;
        vms.push(start(&config, &end.options).await);
    }
    let mut agents = Vec::new();
    for (side, vm) in vms.iter().enumerate() {
        let agent = vm.wait_agent(GENEROUS).await.expect("it comes up");
        sh(&agent, &set_up(side, names.len())).await;
        agents.push(agent);
    }
    let mut targets: Vec<_> =
        names.iter().enumerate().map(|(link, name)| (*name, address(link, 0))).collect();
    targets.extend(hosts);
    let mut script = String::new();
    let mut expected = String::new();
    for (name, address) in targets {
        writeln!(
            script,
            "ping -c 1 -w 20 {address} >/dev/null && echo '{name}: {address}' || echo '{name}: lost'"
        )
        .expect("a String takes it");
        writeln!(expected, "{name}: {address}").expect("a String takes it");
    }
    assert_eq!(sh(&agents[1], &script).await, expected, "{versions:?}");
}

#[test]
fn a_packet_crosses_every_kind_of_network() {
    isolated(a_packet_crosses_every_kind_of_network, cross(["10.0", "10.0"]));
}

#[test]
fn the_oldest_and_the_newest_qemu_understand_each_other() {
    isolated(the_oldest_and_the_newest_qemu_understand_each_other, cross(["11.1", "7.2"]));
}
