//! Networks of a running VM.

use std::net::SocketAddrV4;

use qemu_argv::{HostForward, Transport};

use crate::error::Error;
use crate::instance::Instance;

/// A host port that is forwarded to the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForwardedPort {
    /// The network's id in the config.
    pub network: String,
    /// TCP or UDP.
    pub transport: Transport,
    /// The address on the host. If the config sets port 0, the port that the system chose.
    pub host: SocketAddrV4,
    /// The target in the guest's network.
    pub guest: SocketAddrV4,
}

/// A network interface of the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct NetworkInterface {
    /// The device's id, or QEMU's own name for it.
    pub device: String,
    /// The device that the guest sees, such as `virtio-net-pci`.
    pub model: String,
    /// Its MAC address.
    pub mac: String,
    /// The id of its network. `None` if it is not connected.
    pub network: Option<String>,
    /// The kind of that network, such as `user` or `tap`.
    pub backend: Option<String>,
}

/// # Networks
impl Instance {
    /// Returns the guest's network interfaces from QEMU's point of view, including hotplugged ones. For the guest's
    /// point of view see [`network_interfaces`](Self::network_interfaces).
    ///
    /// There is no QMP command for this, so the output of `info network` is parsed.
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn networks(&self) -> Result<Vec<NetworkInterface>, Error> {
        Ok(interfaces(&self.human_monitor("info network").await?))
    }

    /// Returns the host ports that are forwarded to the guest by user-mode networks.
    ///
    /// There is no QMP command for this, so the output of `info usernet` is parsed.
    ///
    /// # Errors
    ///
    /// As [`Instance::execute`].
    ///
    /// # Cancel safety
    ///
    /// Nothing is changed.
    pub async fn forwarded_ports(&self) -> Result<Vec<ForwardedPort>, Error> {
        Ok(parse(&self.human_monitor("info usernet").await?))
    }

    /// Forwards a host port to the guest, by the user-mode network of that id or the first one. Returns what was added,
    /// with the port that the system chose if `forward` leaves it open.
    ///
    /// # Errors
    ///
    /// - [`Error::Missing`] if there is no such network.
    /// - [`Error::Unsupported`] with QEMU's reason, for example because the port is in use.
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the port may be forwarded.
    #[doc(alias = "hostfwd_add")]
    pub async fn add_forward(
        &self,
        network: Option<&str>,
        forward: &HostForward,
    ) -> Result<ForwardedPort, Error> {
        let networks = self.networks().await?;
        let is_user = |found: &&NetworkInterface| found.backend.as_deref() == Some("user");
        let ids: Vec<_> =
            networks.iter().filter(is_user).filter_map(|found| found.network.as_deref()).collect();
        let id = match network {
            Some(id) => ids.iter().find(|known| **known == id),
            None => ids.first(),
        };
        let id = id.ok_or_else(|| {
            self.missing(&match network {
                Some(id) => format!("user-mode network {id}"),
                None => "user-mode network".to_owned(),
            })
        })?;
        let before = self.forwarded_ports().await?;
        let said = self.human_monitor(&format!("hostfwd_add {id} {forward}")).await?;
        let mut after = self.forwarded_ports().await?.into_iter();
        after.find(|port| !before.contains(port)).ok_or_else(|| Error::Unsupported {
            action: "forwarding a port to",
            name: self.name().to_owned(),
            reason: said.trim().to_owned(),
        })
    }

    /// Stops forwarding a port. Established connections stay.
    ///
    /// # Errors
    ///
    /// [`Error::Unsupported`] with QEMU's reason; otherwise as [`Instance::execute`].
    ///
    /// # Cancel safety
    ///
    /// If the future is dropped, the port may be forwarded or not.
    #[doc(alias = "hostfwd_remove")]
    pub async fn remove_forward(&self, port: &ForwardedPort) -> Result<(), Error> {
        let ForwardedPort { network, transport, host, .. } = port;
        let protocol = if *transport == Transport::Udp { "udp" } else { "tcp" };
        // QEMU compares the address that was set; all of them are written as none.
        let address = if host.ip().is_unspecified() { String::new() } else { host.ip().to_string() };
        let said = self
            .human_monitor(&format!("hostfwd_remove {network} {protocol}:{address}:{}", host.port()))
            .await?;
        if self.forwarded_ports().await?.contains(port) {
            return Err(Error::Unsupported {
                action: "changing the forwarded ports of",
                name: self.name().to_owned(),
                reason: said.trim().to_owned(),
            });
        }
        Ok(())
    }
}

/// Parses `net0-dev: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56`, each with a line ` \\ net0:
/// index=0,type=user,…` for the backend. Additional queues of an interface have separate lines.
fn interfaces(text: &str) -> Vec<NetworkInterface> {
    let mut interfaces: Vec<NetworkInterface> = Vec::new();
    let mut of_interface = false;
    for line in text.lines() {
        let (peer, line) = match line.strip_prefix(" \\ ") {
            Some(line) => (true, line),
            None => (false, line),
        };
        let Some((name, facts)) = line.split_once(": index=") else { continue };
        let fact = |key: &str| facts.split(',').find_map(|fact| fact.strip_prefix(key)?.strip_prefix('='));
        let kind = fact("type").unwrap_or_default();
        if peer && of_interface {
            if let Some(interface) = interfaces.last_mut() {
                interface.network.get_or_insert(name.to_owned());
                interface.backend.get_or_insert(kind.to_owned());
            }
        } else if !peer {
            let known = interfaces.iter().any(|interface| interface.device == name);
            of_interface = kind == "nic" && !known;
            if of_interface {
                interfaces.push(NetworkInterface {
                    device: name.to_owned(),
                    model: fact("model").unwrap_or_default().to_owned(),
                    mac: fact("macaddr").unwrap_or_default().to_owned(),
                    network: None,
                    backend: None,
                });
            }
        }
    }
    interfaces
}

fn parse(text: &str) -> Vec<ForwardedPort> {
    let mut network = "";
    let mut ports = Vec::new();
    for line in text.lines() {
        // A headline: `Hub -1 (net0):`.
        if let Some((_, name)) = line.strip_suffix("):").and_then(|line| line.split_once('(')) {
            network = name;
        }
        ports.extend(port(network, line));
    }
    ports
}

/// Parses `TCP[HOST_FORWARD] 12 127.0.0.1 40123 10.0.2.15 22 0 0`.
fn port(network: &str, line: &str) -> Option<ForwardedPort> {
    let mut words = line.split_whitespace();
    let transport = match words.next()? {
        "TCP[HOST_FORWARD]" => Transport::Tcp,
        "UDP[HOST_FORWARD]" => Transport::Udp,
        _ => return None,
    };
    let mut words = words.skip(1);
    let mut address = || {
        // An asterisk means any address.
        let host = words.next().map(|host| if host == "*" { "0.0.0.0" } else { host })?;
        Some(SocketAddrV4::new(host.parse().ok()?, words.next()?.parse().ok()?))
    };
    Some(ForwardedPort { network: network.to_owned(), transport, host: address()?, guest: address()? })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn interfaces_are_read_with_what_is_behind_them() {
        let text = "lonely: index=0,type=nic,model=e1000e,macaddr=52:54:00:12:34:57\r\n\
                    fast: index=0,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56\r\n \\ net0: \
                    index=0,type=tap,fd=12\r\nfast: index=1,type=nic,model=virtio-net-pci,macaddr=52:54:00:12:34:56\r\n                     \\ net0: index=1,type=tap,fd=13\r\nunused: index=0,type=user,net=10.0.2.0,restrict=off\r\n";
        let told: Vec<_> = interfaces(text)
            .into_iter()
            .map(|found| {
                let behind = found.network.zip(found.backend);
                (found.device, found.model, found.mac, behind)
            })
            .collect();
        let text = str::to_owned;
        assert_eq!(
            told,
            [
                (text("lonely"), text("e1000e"), text("52:54:00:12:34:57"), None),
                (
                    text("fast"),
                    text("virtio-net-pci"),
                    text("52:54:00:12:34:56"),
                    Some((text("net0"), text("tap")))
                ),
            ]
        );
    }
}
