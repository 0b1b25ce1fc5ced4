//! `-chardev`.

use std::path::Path;

use smol_str::SmolStr;

use super::address::host_port;
use crate::config::{CharBackend, Chardev, SocketAddress};
use crate::draft::Draft;
use crate::error::At;
use crate::parts::{CharNode, SocketRole};
use crate::value::{Props, Value};

/// The configuration's own, which others refer to.
pub(super) fn chardevs(draft: &mut Draft<'_>) {
    let root = At::ROOT;
    for (index, chardev) in draft.config.chardevs.iter().enumerate() {
        let at = root.item("chardevs", index);
        let Chardev { id, backend, log, log_append, mux } = chardev;
        draft.check_id(at.field("id"), id);
        if *backend == CharBackend::Launcher {
            draft.conflict(
                at.field("backend"),
                "only serial ports and virtio-serial ports are served by the launcher: give it there",
            );
        }
        let mut node = one(draft, at, id, backend, None);
        if let Some(log) = log {
            let path = draft.raw_path(at.field("log"), log);
            node.props.set("logfile", path);
            node.props.set("logappend", *log_append);
        } else if *log_append {
            draft.conflict(at.field("log_append"), "there is no `log` to append to");
        }
        if *mux {
            node.props.set("mux", true);
        }
        draft.chardev(at, node);
    }
}

/// Where the launcher serves a character device: what speaks there, and the ending of its socket's name.
pub(super) struct Served {
    pub(super) role: SocketRole,
    pub(super) ending: SmolStr,
}

/// Adds the character device of a serial port, a channel or another device.
pub(super) fn add(
    draft: &mut Draft<'_>,
    at: At<'_>,
    id: &str,
    backend: &CharBackend,
    served: Option<Served>,
) {
    let node = one(draft, at, id, backend, served);
    draft.chardev(at, node);
}

fn one(
    draft: &mut Draft<'_>,
    at: At<'_>,
    id: &str,
    backend: &CharBackend,
    served: Option<Served>,
) -> CharNode {
    let backend_at = at.field("backend");
    let of_dbus = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if matches!(backend, CharBackend::Dbus { .. }) && !of_dbus(id) {
        draft.invalid(at.field("id"), id, "is no name on D-Bus: letters, digits and `_`");
    }
    if *backend == CharBackend::Launcher
        && let Some(Served { role, ending }) = served
        && let Some(path) = draft.socket(role, &ending)
    {
        let path = draft.raw_path(backend_at, &path);
        return unix_server(id, path);
    }
    let (kind, props) = words(draft, backend_at, backend);
    node(id, kind, props)
}

fn node(id: &str, kind: &'static str, props: Props) -> CharNode {
    CharNode { kind: SmolStr::new_static(kind), id: id.into(), props }
}

/// A socket that is already connected.
pub(super) fn socket_fd(id: &str, fd: u32) -> CharNode {
    node(id, "socket", Props::from([("fd", fd.into())]))
}

/// A Unix socket that QEMU listens to without waiting for anybody.
pub(super) fn unix_server(id: &str, path: Value) -> CharNode {
    node(id, "socket", Props::from([("path", path), ("server", true.into()), ("wait", false.into())]))
}

fn words(draft: &mut Draft<'_>, at: At<'_>, backend: &CharBackend) -> (&'static str, Props) {
    match backend {
        CharBackend::Launcher | CharBackend::Null => ("null", Props::new()),
        CharBackend::Stdio { signal } => ("stdio", Props::new().with_some("signal", *signal)),
        CharBackend::Pty => ("pty", Props::new()),
        CharBackend::File { path, append } => {
            let path = draft.raw_path(at.field("path"), path);
            ("file", Props::new().with("path", path).with("append", *append))
        }
        CharBackend::Pipe { path } => device(draft, at, "pipe", path),
        CharBackend::Serial { path } => device(draft, at, "serial", path),
        CharBackend::Parallel { path } => device(draft, at, "parallel", path),
        CharBackend::Socket { .. } => socket(draft, at, backend),
        CharBackend::Udp { remote, local } => udp(draft, at, remote, local.as_ref()),
        CharBackend::Ringbuf { size } => {
            if size.is_some_and(|size| !size.to_bytes().is_power_of_two()) {
                draft.conflict(at.field("size"), "the size of a ring buffer is a power of two");
            }
            let size = size.map_or(64 << 10, crate::config::Size::to_bytes);
            ("ringbuf", Props::new().with("size", size.to_string()))
        }
        CharBackend::Vc { columns, rows } => {
            ("vc", Props::new().with_some("cols", *columns).with_some("rows", *rows))
        }
        CharBackend::Spicevmc { name } => ("spicevmc", Props::new().with("name", name)),
        CharBackend::Spiceport { name } => ("spiceport", Props::new().with("name", name)),
        CharBackend::QemuVdagent { clipboard, mouse } => {
            ("qemu-vdagent", Props::new().with("clipboard", *clipboard).with_some("mouse", *mouse))
        }
        CharBackend::Dbus { name } => ("dbus", Props::new().with("name", name)),
        CharBackend::Msmouse => ("msmouse", Props::new()),
        CharBackend::Wctablet => ("wctablet", Props::new()),
        CharBackend::Braille => ("braille", Props::new()),
        CharBackend::Testdev => ("testdev", Props::new()),
        CharBackend::Hub { chardevs } => hub(draft, at, chardevs),
    }
}

fn hub(draft: &mut Draft<'_>, at: At<'_>, chardevs: &[String]) -> (&'static str, Props) {
    draft.needs(at, "a hub of character devices", 10, 0);
    if !(1..=4).contains(&chardevs.len()) {
        draft.conflict(at.field("chardevs"), "a hub has one to four character devices");
    }
    let above: Vec<_> = draft.chardevs.iter().map(|node| node.id.clone()).collect();
    let mut props = Props::new();
    for (index, id) in chardevs.iter().enumerate() {
        draft.refer(
            at.item("chardevs", index),
            "character device above",
            id,
            above.iter().map(SmolStr::as_str),
        );
        props.set(format!("chardevs.{index}"), id);
    }
    ("hub", props)
}

fn device(draft: &mut Draft<'_>, at: At<'_>, kind: &'static str, path: &Path) -> (&'static str, Props) {
    let path = draft.raw_path(at.field("path"), path);
    (kind, Props::new().with("path", path))
}

fn socket(draft: &mut Draft<'_>, at: At<'_>, backend: &CharBackend) -> (&'static str, Props) {
    let CharBackend::Socket { address, server, wait, reconnect_ms, telnet, websocket, tls } = backend else {
        return ("null", Props::new());
    };
    let address_at = at.field("address");
    let mut props = match address {
        SocketAddress::Unix { path } => {
            draft.check_socket_path(address_at, path);
            Props::new().with("path", draft.raw_path(address_at, path))
        }
        SocketAddress::Inet { host, port } => host_port(host, *port),
    };
    props.set("server", *server);
    if *server {
        props.set("wait", *wait);
    } else if *wait {
        draft.conflict(at.field("wait"), "only a server waits for a client");
    }
    if *telnet {
        props.set("telnet", true);
    }
    if *websocket {
        if !server {
            draft.conflict(at.field("websocket"), "only a server speaks WebSocket");
        }
        props.set("websocket", true);
    }
    if let Some(id) = tls {
        if *server {
            draft.tls_server(at.field("tls"), id);
        } else {
            draft.tls_client(at.field("tls"), id);
        }
        if matches!(address, SocketAddress::Unix { .. }) {
            draft.conflict(at.field("tls"), "a Unix socket has no TLS");
        }
        props.set("tls-creds", id);
    }
    if let Some((key, value)) = reconnect(draft, at, *reconnect_ms, *server) {
        props.set(key, value);
    }
    ("socket", props)
}

/// `reconnect` in seconds until 9.1, `reconnect-ms` since 9.2.
pub(super) fn reconnect(
    draft: &mut Draft<'_>,
    at: At<'_>,
    reconnect_ms: Option<u32>,
    server: bool,
) -> Option<(&'static str, Value)> {
    let milliseconds = reconnect_ms?;
    let at = at.field("reconnect_ms");
    if server {
        draft.conflict(at, "only a client connects again");
    }
    if !draft.before(9, 2) {
        return Some(("reconnect-ms", milliseconds.into()));
    }
    if milliseconds % 1000 != 0 {
        draft.needs(at, "reconnecting after a fraction of a second", 9, 2);
    }
    Some(("reconnect", (milliseconds / 1000).into()))
}

fn udp(
    draft: &mut Draft<'_>,
    at: At<'_>,
    remote: &SocketAddress,
    local: Option<&SocketAddress>,
) -> (&'static str, Props) {
    let mut inet = |field, address: &SocketAddress| match address {
        SocketAddress::Inet { host, port } => (host.clone(), *port),
        SocketAddress::Unix { .. } => {
            draft.conflict(at.field(field), "datagrams of a character device are UDP: HOST:PORT");
            (String::new(), 0)
        }
    };
    let (host, port) = inet("remote", remote);
    let mut props = host_port(&host, port);
    if let Some(local) = local {
        let (host, port) = inet("local", local);
        props.set("localaddr", host);
        props.set("localport", port.to_string());
    }
    ("udp", props)
}
