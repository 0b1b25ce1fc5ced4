//! Network backends: what `-netdev`, `-nic` and `-net` say of them.

use super::bag::{Bag, Why};
use super::chardev;
use super::line::Line;
use super::storage::address;
use crate::config::{
    BridgeNet, CommandTarget, ConnectNet, DgramNet, GuestForward, GuestForwardTarget, HubportNet,
    InheritedNet, L2tpv3Net, ListenNet, McastNet, NetBackend, SocketAddress, SocketKind, SocketNet,
    StreamNet, TapNet, TapOpener, TcpTarget, UdpNet, UserNet, VdeNet, VhostUserNet, VhostVdpaNet, VmConfig,
};
use crate::value::Value;

/// A backend, how many queue pairs it has, and the options that it is made of besides its own.
pub(super) struct Backend {
    pub(super) kind: NetBackend,
    pub(super) queues: Option<u16>,
    pub(super) options: Vec<usize>,
    /// Whether ports of every address of the host are forwarded.
    pub(super) open: bool,
}

/// The backend of keys and values without its id.
pub(super) fn backend(line: &Line, config: &VmConfig, kind: &str, mut bag: Bag) -> Result<Backend, Why> {
    let mut queues = None;
    let mut options = Vec::new();
    let mut open = false;
    let backend = match kind {
        "user" => {
            let (net, is_open) = user(&mut bag)?;
            open = is_open;
            NetBackend::User(net)
        }
        "tap" => NetBackend::Tap(tap(&mut bag, &mut queues)?),
        "bridge" => NetBackend::Bridge(BridgeNet {
            bridge: bag.text("br")?.unwrap_or_else(|| "br0".into()),
            helper: bag.text("helper")?.map(Into::into),
        }),
        "socket" => socket(&mut bag)?,
        "stream" => {
            let server = bag.flag("server")?.unwrap_or_default();
            let place = address(bag.table("addr")?.ok_or("`addr` is missing")?)?;
            let seconds: Option<u32> = bag.number("reconnect")?;
            let reconnect_ms =
                bag.number("reconnect-ms")?.or(seconds.map(|seconds| seconds.saturating_mul(1000)));
            NetBackend::Stream(StreamNet { server, reconnect_ms, ..StreamNet::new(place) })
        }
        "dgram" => dgram(&mut bag)?,
        "vde" => NetBackend::Vde(VdeNet {
            socket: bag.text("sock")?.map(Into::into),
            port: bag.number("port")?,
            group: bag.text("group")?,
            mode: mode(&mut bag)?,
        }),
        "vhost-user" => {
            let id = bag.needed("chardev")?;
            let (at, path, server) = chardev::unix_client(line, config, &id)?;
            options.push(at);
            queues = bag.number("queues")?.filter(|queues| *queues != 1);
            NetBackend::VhostUser(VhostUserNet { server, ..VhostUserNet::new(path) })
        }
        "vhost-vdpa" => {
            queues = bag.number("queues")?;
            NetBackend::VhostVdpa(VhostVdpaNet::new(bag.needed("vhostdev")?))
        }
        "l2tpv3" => l2tpv3(&mut bag)?,
        "hubport" => NetBackend::Hubport(HubportNet {
            hub: bag.number("hubid")?.ok_or("`hubid` is missing")?,
            netdev: bag.text("netdev")?,
        }),
        other => return Err(format!("a config has no network of the kind {other}")),
    };
    bag.done()?;
    Ok(Backend { kind: backend, queues, options, open })
}

/// An octal number in `key=value`, as QEMU documents it; a number in JSON.
fn mode(bag: &mut Bag) -> Result<Option<u16>, Why> {
    match bag.take("mode") {
        Some(Value::Str(text)) => {
            let digits = text.strip_prefix('0').filter(|digits| !digits.is_empty());
            let number =
                digits.map_or_else(|| text.parse().ok(), |digits| u16::from_str_radix(digits, 8).ok());
            number.map(Some).ok_or_else(|| "`mode` is not a number".into())
        }
        Some(other) => Ok(super::bag::as_number(&other).and_then(|mode| mode.try_into().ok())),
        None => Ok(None),
    }
}

fn user(bag: &mut Bag) -> Result<(UserNet, bool), Why> {
    let mut open = false;
    let mut forwards = Vec::new();
    for text in chardev::texts(bag.all("hostfwd"))? {
        // Without an address, QEMU listens on all of the host's; the text alone would mean the loopback address here.
        let mut forward: crate::config::HostForward = text.parse().map_err(|error| format!("{error}"))?;
        let host = text.split('-').next().unwrap_or_default();
        if host.split(':').nth(1) == Some("") {
            forward.host_address = std::net::Ipv4Addr::UNSPECIFIED;
            open = true;
        }
        forwards.push(forward);
    }
    let mut guest_forwards = Vec::new();
    for text in chardev::texts(bag.all("guestfwd"))? {
        guest_forwards.push(guest_forward(&text).ok_or("a config has no such `guestfwd`")?);
    }
    let mut six = bag.text("ipv6-prefix")?;
    let length: Option<u8> = bag.number("ipv6-prefixlen")?;
    if let Some(net) = bag.text("ipv6-net")? {
        six = Some(net);
    } else if let Some(prefix) = &six {
        six = Some(format!("{prefix}/{}", length.unwrap_or(64)));
    }
    let mut ip = |key: &str| -> Result<Option<std::net::Ipv4Addr>, Why> {
        let text = bag.text(key)?;
        text.map(|text| text.parse().map_err(|_| format!("`{key}` is not an IPv4 address"))).transpose()
    };
    let (host, dns, dhcp_start) = (ip("host")?, ip("dns")?, ip("dhcpstart")?);
    let net = UserNet {
        net: bag.text("net")?,
        host,
        dns,
        dhcp_start,
        ipv4: bag.flag("ipv4")?,
        ipv6: bag.flag("ipv6")?,
        ipv6_net: six,
        hostname: bag.text("hostname")?,
        domain: bag.text("domainname")?,
        dns_search: chardev::texts(bag.all("dnssearch"))?,
        restrict: bag.flag("restrict")?.unwrap_or_default(),
        tftp: bag.text("tftp")?.map(Into::into),
        tftp_server_name: bag.text("tftp-server-name")?,
        bootfile: bag.text("bootfile")?,
        smb: bag.text("smb")?.map(Into::into),
        forwards,
        guest_forwards,
    };
    Ok((net, open))
}

fn guest_forward(text: &str) -> Option<GuestForward> {
    let (guest, target) = text.split_once('-')?;
    let mut guest = guest.split(':');
    if !matches!(guest.next()?, "tcp" | "") {
        return None;
    }
    let (address, port) = (guest.next()?.parse().ok()?, guest.next()?.parse().ok()?);
    if guest.next().is_some() {
        return None;
    }
    let to = if let Some(command) = target.strip_prefix("cmd:") {
        GuestForwardTarget::Command(CommandTarget::new(command))
    } else {
        let (host, port) = target.strip_prefix("tcp:")?.rsplit_once(':')?;
        let host = host.trim_matches(['[', ']']);
        GuestForwardTarget::Tcp(TcpTarget::new(host.parse().ok()?, port.parse().ok()?))
    };
    Some(GuestForward::new(address, port, to))
}

fn tap(bag: &mut Bag, queues: &mut Option<u16>) -> Result<TapNet, Why> {
    let count =
        |list: &Option<String>| list.as_ref().and_then(|list| u16::try_from(list.split(':').count()).ok());
    let (one, many) = (bag.text("fd")?, bag.text("fds")?);
    let (vhost_one, vhost_many) = (bag.text("vhostfd")?, bag.text("vhostfds")?);
    let vhost = bag.flag("vhost")?.unwrap_or(vhost_one.is_some() || vhost_many.is_some());
    if one.is_some() || many.is_some() {
        *queues = count(&many);
        return Ok(TapNet { open_by: TapOpener::Launcher, vhost, ..TapNet::default() });
    }
    *queues = bag.number("queues")?;
    // Left out, QEMU runs these.
    let script = |given: Option<String>, usual: &str| match given.as_deref() {
        Some("no" | "") => None,
        Some(path) => Some(path.into()),
        None => Some(usual.into()),
    };
    Ok(TapNet {
        ifname: bag.text("ifname")?,
        open_by: TapOpener::Qemu,
        script: script(bag.text("script")?, "/etc/qemu-ifup"),
        down_script: script(bag.text("downscript")?, "/etc/qemu-ifdown"),
        vhost,
    })
}

fn socket(bag: &mut Bag) -> Result<NetBackend, Why> {
    if bag.text("fd")?.is_some() {
        return Ok(NetBackend::Inherited(InheritedNet { kind: SocketKind::Stream }));
    }
    let place = |text: String| -> Result<SocketAddress, Why> {
        // Nothing in front of the colon is every address.
        let text = if text.starts_with(':') { format!("0.0.0.0{text}") } else { text };
        text.parse::<SocketAddress>().map_err(|error| error.to_string())
    };
    let local = bag.text("localaddr")?;
    let net = if let Some(listen) = bag.text("listen")? {
        SocketNet::Listen(ListenNet::new(place(listen)?))
    } else if let Some(connect) = bag.text("connect")? {
        SocketNet::Connect(ConnectNet::new(place(connect)?))
    } else if let Some(group) = bag.text("mcast")? {
        let local = local.map(|local| local.parse().map_err(|_| "`localaddr` is not an address".to_owned()));
        SocketNet::Mcast(McastNet { local: local.transpose()?, ..McastNet::new(place(group)?) })
    } else if let Some(udp) = bag.text("udp")? {
        SocketNet::Udp(UdpNet::new(place(udp)?, place(local.ok_or("`localaddr` is missing")?)?))
    } else {
        return Err("a config has no such socket".into());
    };
    Ok(NetBackend::Socket(net))
}

fn dgram(bag: &mut Bag) -> Result<NetBackend, Why> {
    let local = bag.table("local")?;
    if let Some(local) = &local
        && local.peek("type") == Some("fd")
        && !bag.has("remote")
    {
        return Ok(NetBackend::Inherited(InheritedNet { kind: SocketKind::Dgram }));
    }
    let local = local.map(address).transpose()?;
    let remote = address(bag.table("remote")?.ok_or("`remote` is missing")?)?;
    Ok(NetBackend::Dgram(DgramNet { local, remote }))
}

fn l2tpv3(bag: &mut Bag) -> Result<NetBackend, Why> {
    let session: u32 = bag.number("txsession")?.ok_or("`txsession` is missing")?;
    let udp = bag.flag("udp")?.unwrap_or_default();
    let net = L2tpv3Net {
        rx_session: bag.number("rxsession")?,
        src_port: bag.number("srcport")?,
        dst_port: bag.number("dstport")?,
        ipv6: bag.flag("ipv6")?.unwrap_or_default(),
        ..L2tpv3Net::new(bag.needed("src")?, bag.needed("dst")?, session)
    };
    if udp != net.src_port.is_some() {
        return Err("a config has a tunnel over UDP with both ports".into());
    }
    Ok(NetBackend::L2tpv3(net))
}
