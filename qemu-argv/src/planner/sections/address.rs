//! Addresses of sockets, as QEMU's schema has them.

use crate::config::{InetAddress, SocketAddress, UnixAddress};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::Props;

/// QEMU takes a port only as text.
pub(super) fn host_port(host: &str, port: u16) -> Props {
    Props::new().with("host", host.to_owned()).with("port", port.to_string())
}

/// A `SocketAddress` of QEMU's schema.
pub(super) fn socket_address(builder: &mut Builder<'_>, at: At<'_>, address: &SocketAddress) -> Props {
    match address {
        SocketAddress::Unix(UnixAddress { path }) => {
            builder.check_socket_path(at, path);
            let path = builder.path(at, path);
            Props::new().with("type", "unix").with("path", path)
        }
        SocketAddress::Inet(InetAddress { host, port }) => {
            let mut props = Props::new().with("type", "inet");
            props.extend(host_port(host, *port));
            props
        }
    }
}
