//! How to connect to a VM: forwarded ports, screens and network addresses.

use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::time::Duration;

use qemu_argv::Transport;
use qemuctl::runtime::Record;
use qemuctl::{Instance, control::NetworkInterface};
use qmp_proto::{QuerySpice, QueryVnc};
use serde::Serialize;

use super::context::Context;

/// The timeout for addresses from the guest agent. It is short, since many guests have no agent.
const ADDRESSES: Duration = Duration::from_millis(500);
/// The timeout of each query after a start, which the VM does not depend on.
const ANSWERS: Duration = Duration::from_secs(2);
/// The guest's SSH port.
const SSH: u16 = 22;

/// How to connect to a VM from outside.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Ways {
    /// Host ports that are forwarded to the guest.
    pub(crate) ports: Vec<Port>,
    /// The VNC server's address.
    pub(crate) vnc: Option<String>,
    /// The SPICE server's address.
    pub(crate) spice: Option<String>,
    /// The guest's network interfaces.
    pub(crate) networks: Vec<Net>,
}

/// A host port that is forwarded to the guest.
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
    /// The VM's name, if its guest was set up with a login.
    #[serde(skip)]
    login: Option<String>,
}

/// A network interface of the guest.
#[derive(Debug, Serialize)]
pub(crate) struct Net {
    /// The network's id.
    id: String,
    /// The backend, such as `user`.
    backend: Option<String>,
    /// The device that the guest sees.
    model: String,
    mac: String,
    /// The guest's addresses, if its agent reports them quickly.
    addresses: Vec<String>,
}

impl Ways {
    /// Collects what QEMU reports in time, without the addresses that only the guest knows.
    pub(crate) async fn of(vm: &Instance) -> Self {
        let (ports, networks, vnc, spice) = tokio::join!(
            soon(vm.forwarded_ports()),
            soon(vm.networks()),
            // Not every build has them.
            soon(vm.execute(QueryVnc {})),
            soon(vm.execute(QuerySpice {})),
        );
        let record =
            vm.socket().and_then(Path::parent).and_then(|dir| Record::read(dir, vm.name()).ok().flatten());
        let login = record.and_then(|record| record.ssh).map(|_| vm.name().to_owned());
        let ports = ports.unwrap_or_default().into_iter().map(|port| Port {
            login: login.clone(),
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

    /// The same, with the guest's addresses if its agent answers quickly.
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

    /// Prints how to connect.
    pub(crate) fn tell(&self, context: &Context) {
        self.told().iter().for_each(|line| context.note(line));
    }

    /// Returns the lines that say how to connect.
    pub(crate) fn told(&self) -> Vec<String> {
        let ports = self.ports.iter().map(|port| format!("  {}", port.told()));
        let screens = [("VNC", &self.vnc), ("SPICE", &self.spice)];
        let screens = screens
            .into_iter()
            .filter_map(|(name, address)| Some(format!("  {name} on {}", address.as_ref()?)));
        ports.chain(screens).collect()
    }

    /// Returns lines of a key and its value.
    pub(crate) fn lines(&self) -> Vec<(&'static str, String)> {
        let networks = self.networks.iter().map(|net| ("network", net.told()));
        let ports = self.ports.iter().map(|port| ("port", port.told()));
        let screens = [("vnc", &self.vnc), ("spice", &self.spice)];
        let screens = screens.into_iter().filter_map(|(key, address)| Some((key, address.clone()?)));
        networks.chain(ports).chain(screens).collect()
    }
}

impl Port {
    pub(crate) fn told(&self) -> String {
        let here = SocketAddrV4::new(self.host_address, self.host_port);
        let text = format!("{} {here} is forwarded to guest port {}", self.protocol, self.guest_port);
        match self.login() {
            Some(login) => format!("{text}: {login}"),
            None => text,
        }
    }

    /// Returns the ssh command, if the guest port is that of SSH.
    fn login(&self) -> Option<String> {
        let host = if self.host_address.is_unspecified() { Ipv4Addr::LOCALHOST } else { self.host_address };
        let command = match &self.login {
            Some(name) => format!("qemuctl ssh {name}"),
            None => format!("ssh -p {} {host}", self.host_port),
        };
        (self.guest_port == SSH && self.protocol == "tcp").then_some(command)
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
