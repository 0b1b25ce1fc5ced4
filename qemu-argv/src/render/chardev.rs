//! `-chardev`, in its own words and in those of `chardev-add`, which differ.

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
        draft.check_id(at.field("id"), &chardev.id);
        if chardev.backend == CharBackend::Launcher {
            draft.conflict(
                at.field("backend"),
                "only serial ports and virtio-serial ports are served by the launcher: give it there",
            );
        }
        add(draft, at, chardev, None);
    }
}

/// Where the launcher serves a character device: what speaks there, and the ending of its socket's name.
pub(super) struct Served {
    pub(super) role: SocketRole,
    pub(super) ending: String,
}

/// Adds a character device of a serial port or channel.
pub(super) fn add(draft: &mut Draft<'_>, at: At<'_>, chardev: &Chardev, served: Option<Served>) {
    let backend_at = at.field("backend");
    let of_dbus = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if matches!(chardev.backend, CharBackend::Dbus { .. }) && !of_dbus(&chardev.id) {
        draft.invalid(at.field("id"), &chardev.id, "is no name on D-Bus: letters, digits and `_`");
    }
    let mut node = match (&chardev.backend, served) {
        (CharBackend::Launcher, Some(Served { role, ending })) => match draft.socket(role, &ending) {
            Some(path) => launcher_socket(draft, backend_at, &chardev.id, &path),
            None => node(&chardev.id, "null", Props::new(), Props::new()),
        },
        (CharBackend::Launcher, None) => node(&chardev.id, "null", Props::new(), Props::new()),
        (backend, _) => {
            let (kind, props, data) = words(draft, backend_at, backend);
            node(&chardev.id, kind, props, data)
        }
    };
    if let Some(log) = &chardev.log {
        let path = draft.raw_path(at.field("log"), log);
        node.props.set("logfile", path.clone());
        node.props.set("logappend", chardev.log_append);
        node.data.set("logfile", path);
        node.data.set("logappend", chardev.log_append);
    } else if chardev.log_append {
        draft.conflict(at.field("log_append"), "there is no `log` to append to");
    }
    if chardev.mux {
        node.props.set("mux", true);
    }
    draft.chardev(at, node);
}

fn node(id: &str, kind: &'static str, props: Props, data: Props) -> CharNode {
    CharNode { kind: kind.into(), id: id.into(), props, data }
}

fn launcher_socket(draft: &mut Draft<'_>, at: At<'_>, id: &str, path: &Path) -> CharNode {
    let path = draft.raw_path(at, path);
    unix_server(id, path)
}

/// A socket that is already connected.
pub(super) fn socket_fd(id: &str, fd: u32) -> CharNode {
    let address = Props::new().with("type", "fd").with("data", Props::new().with("str", fd.to_string()));
    node(id, "socket", Props::new().with("fd", fd), Props::new().with("addr", address).with("server", false))
}

/// A Unix socket that QEMU listens to without waiting for anybody.
pub(super) fn unix_server(id: &str, path: Value) -> CharNode {
    let props = Props::new().with("path", path.clone()).with("server", true).with("wait", false);
    let data = Props::new().with("addr", legacy_unix(path)).with("server", true).with("wait", false);
    node(id, "socket", props, data)
}

/// An address as `chardev-add` nests it.
fn legacy_unix(path: Value) -> Props {
    Props::new().with("type", "unix").with("data", Props::new().with("path", path))
}

fn words(draft: &mut Draft<'_>, at: At<'_>, backend: &CharBackend) -> (&'static str, Props, Props) {
    let same = |kind, props: Props| (kind, props.clone(), props);
    match backend {
        CharBackend::Launcher | CharBackend::Null => same("null", Props::new()),
        CharBackend::Stdio { signal } => same("stdio", Props::new().with_some("signal", *signal)),
        CharBackend::Pty => same("pty", Props::new()),
        CharBackend::File { path, append } => {
            let path = draft.raw_path(at.field("path"), path);
            let props = Props::new().with("path", path.clone()).with("append", *append);
            ("file", props, Props::new().with("out", path).with("append", *append))
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
            ("ringbuf", Props::new().with("size", size.to_string()), Props::new().with("size", size))
        }
        CharBackend::Vc { columns, rows } => {
            same("vc", Props::new().with_some("cols", *columns).with_some("rows", *rows))
        }
        CharBackend::Spicevmc { name } => {
            let props = Props::new().with("name", name);
            ("spicevmc", props, Props::new().with("type", name))
        }
        CharBackend::Spiceport { name } => {
            let props = Props::new().with("name", name);
            ("spiceport", props, Props::new().with("fqdn", name))
        }
        CharBackend::QemuVdagent { clipboard, mouse } => {
            same("qemu-vdagent", Props::new().with("clipboard", *clipboard).with_some("mouse", *mouse))
        }
        CharBackend::Dbus { name } => same("dbus", Props::new().with("name", name)),
        CharBackend::Msmouse => same("msmouse", Props::new()),
        CharBackend::Wctablet => same("wctablet", Props::new()),
        CharBackend::Braille => same("braille", Props::new()),
        CharBackend::Testdev => same("testdev", Props::new()),
        CharBackend::Hub { chardevs } => hub(draft, at, chardevs),
    }
}

fn hub(draft: &mut Draft<'_>, at: At<'_>, chardevs: &[String]) -> (&'static str, Props, Props) {
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
    let list: Vec<_> = chardevs.iter().map(Value::from).collect();
    ("hub", props, Props::new().with("chardevs", list))
}

fn device(
    draft: &mut Draft<'_>,
    at: At<'_>,
    kind: &'static str,
    path: &Path,
) -> (&'static str, Props, Props) {
    let path = draft.raw_path(at.field("path"), path);
    (kind, Props::new().with("path", path.clone()), Props::new().with("device", path))
}

fn socket(draft: &mut Draft<'_>, at: At<'_>, backend: &CharBackend) -> (&'static str, Props, Props) {
    let CharBackend::Socket { address, server, wait, reconnect_ms, telnet, websocket, tls } = backend else {
        return ("null", Props::new(), Props::new());
    };
    let address_at = at.field("address");
    let (mut props, nested) = match address {
        SocketAddress::Unix { path } => {
            draft.check_socket_path(address_at, path);
            let path = draft.raw_path(address_at, path);
            (Props::new().with("path", path.clone()), legacy_unix(path))
        }
        SocketAddress::Inet { host, port } => {
            let flat = host_port(host, *port);
            (flat.clone(), Props::new().with("type", "inet").with("data", flat))
        }
    };
    let mut data = Props::new().with("addr", nested);
    let mut both = |key: &'static str, value: Value| {
        props.set(key, value.clone());
        data.set(key, value);
    };
    both("server", (*server).into());
    if *server {
        both("wait", (*wait).into());
    } else if *wait {
        draft.conflict(at.field("wait"), "only a server waits for a client");
    }
    if *telnet {
        both("telnet", true.into());
    }
    if *websocket {
        if !server {
            draft.conflict(at.field("websocket"), "only a server speaks WebSocket");
        }
        both("websocket", true.into());
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
        both("tls-creds", id.into());
    }
    if let Some((key, value)) = reconnect(draft, at, *reconnect_ms, *server) {
        both(key, value);
    }
    ("socket", props, data)
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
) -> (&'static str, Props, Props) {
    let mut inet = |field, address: &SocketAddress| match address {
        SocketAddress::Inet { host, port } => (host.clone(), *port),
        SocketAddress::Unix { .. } => {
            draft.conflict(at.field(field), "datagrams of a character device are UDP: HOST:PORT");
            (String::new(), 0)
        }
    };
    let nested = |host: &str, port| Props::new().with("type", "inet").with("data", host_port(host, port));
    let (host, port) = inet("remote", remote);
    let mut props = host_port(&host, port);
    let mut data = Props::new().with("remote", nested(&host, port));
    if let Some(local) = local {
        let (host, port) = inet("local", local);
        data.set("local", nested(&host, port));
        props.set("localaddr", host);
        props.set("localport", port.to_string());
    }
    ("udp", props, data)
}
