//! Addresses of sockets, as QEMU's schema has them.

use crate::config::SocketAddress;
use crate::draft::Draft;
use crate::error::At;
use crate::value::Props;

/// QEMU takes a port only as text.
pub(super) fn host_port(host: &str, port: u16) -> Props {
    Props::new().with("host", host.to_owned()).with("port", port.to_string())
}

/// A `SocketAddress` of QEMU's schema.
pub(super) fn socket_address(draft: &mut Draft<'_>, at: At<'_>, address: &SocketAddress) -> Props {
    match address {
        SocketAddress::Unix { path } => {
            draft.check_socket_path(at, path);
            let path = draft.path(at, path);
            Props::new().with("type", "unix").with("path", path)
        }
        SocketAddress::Inet { host, port } => {
            let mut props = Props::new().with("type", "inet");
            props.extend(host_port(host, *port));
            props
        }
    }
}
