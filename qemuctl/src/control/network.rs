//! Networks of a running VM.

use std::net::SocketAddrV4;

use qemu_argv::Transport;

use crate::error::Error;
use crate::instance::Instance;

/// A port of the host that leads into the guest.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ForwardedPort {
    /// The network's id in the config.
    pub network: String,
    /// TCP or UDP.
    pub transport: Transport,
    /// Where QEMU listens on the host; the port that the system chose where the config says 0.
    pub host: SocketAddrV4,
    /// Where it leads in the guest's network.
    pub guest: SocketAddrV4,
}

impl Instance {
    /// The host's ports that lead into the guest through user-mode networks.
    ///
    /// QEMU tells them only to people, so this reads what `info usernet` prints.
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

/// Reads `TCP[HOST_FORWARD]  12  127.0.0.1 40123  10.0.2.15  22  0  0`.
fn port(network: &str, line: &str) -> Option<ForwardedPort> {
    let mut words = line.split_whitespace();
    let transport = match words.next()? {
        "TCP[HOST_FORWARD]" => Transport::Tcp,
        "UDP[HOST_FORWARD]" => Transport::Udp,
        _ => return None,
    };
    let mut words = words.skip(1);
    let mut address = || {
        // A star stands for any address.
        let host = words.next().map(|host| if host == "*" { "0.0.0.0" } else { host })?;
        Some(SocketAddrV4::new(host.parse().ok()?, words.next()?.parse().ok()?))
    };
    Some(ForwardedPort { network: network.to_owned(), transport, host: address()?, guest: address()? })
}
