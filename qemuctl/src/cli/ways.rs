//! The ways into a VM: forwarded ports, screens, networks with their addresses.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use qemu_argv::Transport;
use qemuctl::{Instance, NetworkInterface};
use qmp_proto::{QuerySpice, QueryVnc};
use serde::Serialize;

use super::context::Context;

/// How long the guest's agent may take to tell addresses. Most guests have none, and nobody wants to wait for it.
const ADDRESSES: Duration = Duration::from_millis(500);
/// How long QEMU may take for each question after a start: the VM runs whether it answers or not.
const ANSWERS: Duration = Duration::from_secs(2);
/// Where SSH listens in a guest.
const SSH: u16 = 22;

/// What leads into a VM from outside.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Ways {
    /// Ports of the host that lead into the guest.
    pub(crate) ports: Vec<Port>,
    /// Where the VNC server listens.
    pub(crate) vnc: Option<String>,
    /// Where the SPICE server listens.
    pub(crate) spice: Option<String>,
    /// The guest's network interfaces.
    pub(crate) networks: Vec<Net>,
}

/// A port of the host that leads into the guest.
#[derive(Debug, Serialize)]
#[expect(clippy::struct_field_names, reason = "the words of `--json`")]
pub(crate) struct Port {
    /// The network's id.
    network: String,
    /// `tcp` or `udp`.
    protocol: &'static str,
    host_address: Ipv4Addr,
    host_port: u16,
    guest_address: Ipv4Addr,
    guest_port: u16,
}

/// A network interface of the guest.
#[derive(Debug, Serialize)]
pub(crate) struct Net {
    /// The network's id.
    id: String,
    /// What is behind it, such as `user`.
    backend: Option<String>,
    /// The device that the guest sees.
    model: String,
    mac: String,
    /// The guest's addresses, if its agent tells them at once.
    addresses: Vec<String>,
}

impl Ways {
    /// What QEMU tells, without the addresses that only the guest knows. What it does not tell in time is left out.
    pub(crate) async fn of(vm: &Instance) -> Self {
        let (ports, networks, vnc, spice) = tokio::join!(
            soon(vm.forwarded_ports()),
            soon(vm.networks()),
            // Not every build has them.
            soon(vm.execute(QueryVnc {})),
            soon(vm.execute(QuerySpice {})),
        );
        let ports = ports.unwrap_or_default().into_iter().map(|port| Port {
            network: port.network,
            protocol: if port.transport == Transport::Udp { "udp" } else { "tcp" },
            host_address: *port.host.ip(),
            host_port: port.host.port(),
            guest_address: *port.guest.ip(),
            guest_port: port.guest.port(),
        });
        let networks = networks.unwrap_or_default().into_iter().map(net);
        let vnc = vnc.filter(|vnc| vnc.enabled).and_then(|vnc| address(vnc.host?, vnc.service));
        let spice = spice.filter(|spice| spice.enabled).and_then(|spice| {
            let port = spice.port.or(spice.tls_port).filter(|&port| port > 0);
            address(spice.host?, port.map(|port| port.to_string()))
        });
        Self { ports: ports.collect(), vnc, spice, networks: networks.collect() }
    }

    /// The same with the guest's addresses, if its agent answers quickly.
    pub(crate) async fn with_addresses(vm: &Instance) -> Self {
        let mut ways = Self::of(vm).await;
        if vm.agent_socket().is_none() || ways.networks.is_empty() {
            return ways;
        }
        let asked = tokio::time::timeout(ADDRESSES, vm.network_interfaces()).await;
        for interface in asked.ok().and_then(Result::ok).unwrap_or_default() {
            let mac = interface.hardware_address.unwrap_or_default();
            let Some(net) = ways.networks.iter_mut().find(|net| net.mac.eq_ignore_ascii_case(&mac)) else {
                continue;
            };
            let addresses = interface.ip_addresses.unwrap_or_default();
            net.addresses.extend(addresses.into_iter().map(|address| address.ip_address));
        }
        ways
    }

    /// Tells how to get in.
    pub(crate) fn tell(&self, context: &Context) {
        self.told().iter().for_each(|line| context.note(line));
    }

    /// How to get in, line by line.
    pub(crate) fn told(&self) -> Vec<String> {
        let ports = self.ports.iter().map(|port| format!("  {}", port.told()));
        let screens = [("VNC", &self.vnc), ("SPICE", &self.spice)];
        let screens = screens
            .into_iter()
            .filter_map(|(name, address)| Some(format!("  {name} on {}", address.as_ref()?)));
        ports.chain(screens).collect()
    }

    /// Lines of a key and its value.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let networks = self.networks.iter().map(|net| ("network", net.told()));
        let ports = self.ports.iter().map(|port| ("port", port.told()));
        let screens = [("vnc", &self.vnc), ("spice", &self.spice)];
        let screens = screens.into_iter().filter_map(|(key, address)| Some((key, address.clone()?)));
        networks.chain(ports).chain(screens).collect()
    }
}

impl Port {
    fn told(&self) -> String {
        let here = SocketAddrV4::new(self.host_address, self.host_port);
        let text = format!("{} {here} leads to port {} of the guest", self.protocol, self.guest_port);
        match self.login() {
            Some(login) => format!("{text}: {login}"),
            None => text,
        }
    }

    /// How to log in, where the guest's side is that of SSH.
    fn login(&self) -> Option<String> {
        let host = if self.host_address.is_unspecified() { Ipv4Addr::LOCALHOST } else { self.host_address };
        (self.guest_port == SSH && self.protocol == "tcp")
            .then(|| format!("ssh -p {} {host}", self.host_port))
    }
}

impl Net {
    fn told(&self) -> String {
        let backend = self.backend.as_deref().unwrap_or("not connected");
        let mut text = format!("{} {} ({}, {backend})", self.id, self.mac, self.model);
        for address in &self.addresses {
            text = format!("{text} {address}");
        }
        text
    }
}

fn net(interface: NetworkInterface) -> Net {
    let NetworkInterface { network, device, model, mac, backend, .. } = interface;
    Net { id: network.unwrap_or(device), backend, model, mac, addresses: Vec::new() }
}

fn address(host: String, port: Option<String>) -> Option<String> {
    match port {
        // A Unix socket.
        _ if host.starts_with('/') => Some(host),
        Some(port) if host.contains(':') => Some(format!("[{host}]:{port}")),
        Some(port) => Some(format!("{host}:{port}")),
        None => None,
    }
}

async fn soon<T>(asked: impl Future<Output = Result<T, qemuctl::Error>>) -> Option<T> {
    tokio::time::timeout(ANSWERS, asked).await.ok()?.ok()
}
