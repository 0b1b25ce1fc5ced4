//! The user-mode network and its forwarded ports.

use crate::config::{CommandTarget, GuestForwardTarget, TcpTarget, UserNet};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::{Props, Value};

/// QEMU's lists of texts: `[{"str": …}]`.
fn texts(items: impl Iterator<Item = String>) -> Option<Value> {
    let list: Vec<_> = items.map(|item| Value::from(Props::new().with("str", item))).collect();
    (!list.is_empty()).then_some(Value::List(list))
}

pub(super) fn user(builder: &mut Builder<'_>, at: At<'_>, net: &UserNet) -> Props {
    if net.ipv4 == Some(false) && net.ipv6 == Some(false) {
        builder.conflict(at, "IPv4 and IPv6 cannot both be off");
    }
    let v4 = net.net.is_some() || net.host.is_some() || net.dns.is_some() || net.dhcp_start.is_some();
    if net.ipv4 == Some(false) && v4 {
        builder.conflict(at.field("ipv4"), "IPv4 settings have no effect with `ipv4 = false`");
    }
    if net.ipv6 == Some(false) && net.ipv6_net.is_some() {
        builder.conflict(at.field("ipv6"), "IPv6 settings have no effect with `ipv6 = false`");
    }
    // QEMU takes one that is switched on for the only one.
    let beside = |own: Option<bool>, other: Option<bool>| own.or(other.filter(|on| *on));
    let mut props = Props::new()
        .with_some("ipv4", beside(net.ipv4, net.ipv6))
        .with_some("ipv6", beside(net.ipv6, net.ipv4));
    if let Some(net) = &net.net {
        check_network(builder, at.field("net"), net, false);
        props.set("net", net);
    }
    props = props
        .with_some("host", net.host.map(|address| address.to_string()))
        .with_some("dns", net.dns.map(|address| address.to_string()))
        .with_some("dhcpstart", net.dhcp_start.map(|address| address.to_string()));
    if let Some(net) = &net.ipv6_net {
        check_network(builder, at.field("ipv6_net"), net, true);
        let (prefix, length) = net.split_once('/').unwrap_or((net, "64"));
        props.set("ipv6-prefix", prefix.to_owned());
        props.set("ipv6-prefixlen", length.parse::<u64>().unwrap_or(64));
    }
    props = props
        .with_some("hostname", net.hostname.as_ref())
        .with_some("domainname", net.domain.as_ref())
        .with_some("dnssearch", texts(net.dns_search.iter().cloned()));
    // QEMU 7.2 crashes on a longer boot file; a DHCP reply has room for no more of the others.
    for (field, text, longest) in [
        ("hostname", &net.hostname, 32),
        ("domain", &net.domain, 255),
        ("tftp_server_name", &net.tftp_server_name, 255),
        ("bootfile", &net.bootfile, 127),
    ] {
        if let Some(text) = text.as_ref().filter(|text| text.is_empty() || text.len() > longest) {
            builder.invalid(at.field(field), text, format!("is empty or longer than {longest} bytes"));
        }
    }
    for (index, domain) in net.dns_search.iter().enumerate() {
        let labels = domain.trim_end_matches('.').split('.');
        if domain.len() > 255 || !labels.clone().all(|label| (1..=63).contains(&label.len())) {
            builder.invalid(at.item("dns_search", index), domain, "is not a valid domain name");
        }
    }
    if net.restrict {
        props.set("restrict", true);
    }
    if let Some(dir) = &net.tftp {
        let dir = builder.path(at.field("tftp"), dir);
        props.set("tftp", dir);
    }
    props = props
        .with_some("tftp-server-name", net.tftp_server_name.as_ref())
        .with_some("bootfile", net.bootfile.as_ref());
    if let Some(dir) = &net.smb {
        builder.sandbox.spawn = true;
        // QEMU writes it into Samba's configuration, where a new line is a new setting.
        if dir.to_string_lossy().chars().any(char::is_control) {
            builder.invalid(
                at.field("smb"),
                &dir.display().to_string(),
                "must not contain control characters",
            );
        }
        let dir = builder.path(at.field("smb"), dir);
        props.set("smb", dir);
    }
    let mut guests = Vec::new();
    for (index, forward) in net.guest_forwards.iter().enumerate() {
        let target = match &forward.to {
            GuestForwardTarget::Tcp(TcpTarget { address, port }) => match address {
                std::net::IpAddr::V4(address) => format!("tcp:{address}:{port}"),
                std::net::IpAddr::V6(address) => format!("tcp:[{address}]:{port}"),
            },
            GuestForwardTarget::Command(CommandTarget { command }) => {
                builder.sandbox.spawn = true;
                if command.trim().is_empty() {
                    builder.invalid(at.item("guest_forwards", index), command, "is not a valid command");
                }
                format!("cmd:{command}")
            }
        };
        guests.push(format!("tcp:{}:{}-{target}", forward.address, forward.port));
    }
    props
        .with_some("hostfwd", texts(net.forwards.iter().map(ToString::to_string)))
        .with_some("guestfwd", texts(guests.into_iter()))
}

/// A network as `ADDRESS/LENGTH`.
fn check_network(builder: &mut Builder<'_>, at: At<'_>, net: &str, six: bool) {
    let (address, length) = net.split_once('/').unwrap_or((net, if six { "64" } else { "24" }));
    let good = if six {
        address.parse::<std::net::Ipv6Addr>().is_ok()
            && length.parse::<u8>().is_ok_and(|length| length <= 126)
    } else {
        address.parse::<std::net::Ipv4Addr>().is_ok() && length.parse::<u8>().is_ok_and(|length| length <= 30)
    };
    if !good {
        builder.invalid(at, net, "is not a valid network; expected for example 10.0.2.0/24 or fec0::/64");
    }
}
