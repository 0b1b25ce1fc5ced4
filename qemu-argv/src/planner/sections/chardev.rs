//! `-chardev`.

use std::path::Path;

use smol_str::SmolStr;

use super::address::host_port;
use crate::config::{
    CharBackend, Chardev, DbusChardev, FileChardev, HubChardev, InetAddress, ParallelChardev, PipeChardev,
    RingbufChardev, SerialChardev, SocketAddress, SocketChardev, SpiceportChardev, SpicevmcChardev,
    StdioChardev, UdpChardev, UnixAddress, VcChardev, VdagentChardev, VmConfig,
};
use crate::name::join;
use crate::plan::{CharNode, SocketRole};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::{Props, Value};

/// The configuration's own, which others refer to.
pub(super) fn chardevs(builder: &mut Builder<'_>, config: &VmConfig) {
    for (index, chardev) in config.chardevs.iter().enumerate() {
        let at = At::entry("chardevs", index);
        let Chardev { id, backend, log, log_append, mux } = chardev;
        builder.check_id(at.field("id"), id);
        if *backend == CharBackend::Launcher {
            builder.conflict(
                at.field("backend"),
                "`launcher` is only supported for serial ports and virtio-serial ports",
            );
        }
        // QEMU's standard input is the launcher's monitor, and the launcher shows this one in its place.
        let launcher = CharBackend::Launcher;
        let mut node = if matches!(backend, CharBackend::Stdio(_)) && has_no_stdio(builder) {
            let served = console(builder);
            builder.consoles += 1;
            one(builder, at, id, &launcher, Some(served))
        } else {
            one(builder, at, id, backend, None)
        };
        if let Some(log) = log {
            let path = builder.raw_path(at.field("log"), log);
            node.props.set("logfile", path);
            node.props.set("logappend", *log_append);
        } else if *log_append {
            builder.conflict(at.field("log_append"), "`log_append` requires `log`");
        }
        if *mux {
            node.props.set("mux", true);
        }
        builder.chardev(at, node);
    }
}

/// Where the launcher serves a character device: what speaks there, and the ending of its socket's name.
pub(super) struct Served {
    pub(super) role: SocketRole,
    pub(super) ending: SmolStr,
}

/// The next console that the launcher serves.
pub(super) fn console(builder: &Builder<'_>) -> Served {
    let number = builder.consoles;
    Served {
        role: SocketRole::Console(number),
        ending: join([".console", itoa::Buffer::new().format(number), ".sock"]),
    }
}

/// Adds the character device of a serial port, a channel or another device.
pub(super) fn add(
    builder: &mut Builder<'_>,
    at: At<'_>,
    id: &str,
    backend: &CharBackend,
    served: Option<Served>,
) {
    add_logged(builder, at, id, backend, served, None);
}

/// The same, with a file to which QEMU appends a copy of what the guest sends.
pub(super) fn add_logged(
    builder: &mut Builder<'_>,
    at: At<'_>,
    id: &str,
    backend: &CharBackend,
    served: Option<Served>,
    log: Option<&Path>,
) {
    let mut node = one(builder, at, id, backend, served);
    if let Some(log) = log {
        let path = builder.raw_path(at.field("log"), log);
        node.props.set("logfile", path);
        node.props.set("logappend", true);
    }
    builder.chardev(at, node);
}

fn one(
    builder: &mut Builder<'_>,
    at: At<'_>,
    id: &str,
    backend: &CharBackend,
    served: Option<Served>,
) -> CharNode {
    let backend_at = at.field("backend");
    let of_dbus = |id: &str| id.bytes().all(|byte| byte.is_ascii_alphanumeric() || byte == b'_');
    if matches!(backend, CharBackend::Dbus(DbusChardev { .. })) && !of_dbus(id) {
        builder.invalid(
            at.field("id"),
            id,
            "is not a valid D-Bus name: only letters, digits and `_` are allowed",
        );
    }
    if *backend == CharBackend::Launcher
        && let Some(Served { role, ending }) = served
        && let Some(path) = builder.socket(at, role, &ending)
    {
        let path = builder.raw_path(backend_at, &path);
        return unix_server(id, path);
    }
    if matches!(backend, CharBackend::Stdio(StdioChardev { .. })) && has_no_stdio(builder) {
        builder.conflict(
            backend_at,
            "QEMU's standard input is used for the monitor; `serials = [\"stdio\"]` is shown by `qemuctl run` and `qemuctl console`, \
             and a socket, pty or file takes anything else",
        );
    }
    let (kind, props) = words(builder, backend_at, backend);
    node(id, kind, props)
}

/// Whether QEMU's standard input and output belong to a launcher.
pub(super) fn has_no_stdio(builder: &Builder<'_>) -> bool {
    builder.endpoints.qmp_fd == Some(0)
}

fn node(id: &str, kind: &'static str, props: Props) -> CharNode {
    CharNode { kind: SmolStr::new_static(kind), id: id.into(), props }
}

/// A socket that is already connected.
pub(super) fn socket_fd(id: &str, fd: u32) -> CharNode {
    node(id, "socket", Props::from([("fd", fd.into())]))
}

/// A bound socket that QEMU inherits and listens to without waiting for anybody.
pub(super) fn fd_server(id: &str, fd: u32) -> CharNode {
    node(id, "socket", Props::from([("fd", fd.into()), ("server", true.into()), ("wait", false.into())]))
}

/// A Unix socket that QEMU listens to without waiting for anybody.
pub(super) fn unix_server(id: &str, path: Value) -> CharNode {
    node(id, "socket", Props::from([("path", path), ("server", true.into()), ("wait", false.into())]))
}

fn words(builder: &mut Builder<'_>, at: At<'_>, backend: &CharBackend) -> (&'static str, Props) {
    match backend {
        CharBackend::Launcher | CharBackend::Null => ("null", Props::new()),
        CharBackend::Stdio(StdioChardev { signal }) => ("stdio", Props::new().with_some("signal", *signal)),
        CharBackend::Pty => ("pty", Props::new()),
        CharBackend::File(FileChardev { path, append }) => {
            let path = builder.raw_path(at.field("path"), path);
            ("file", Props::new().with("path", path).with("append", *append))
        }
        CharBackend::Pipe(PipeChardev { path }) => device(builder, at, "pipe", path),
        CharBackend::Serial(SerialChardev { path }) => device(builder, at, "serial", path),
        CharBackend::Parallel(ParallelChardev { path }) => device(builder, at, "parallel", path),
        CharBackend::Socket(SocketChardev { .. }) => socket(builder, at, backend),
        CharBackend::Udp(UdpChardev { remote, local }) => udp(builder, at, remote, local.as_ref()),
        CharBackend::Ringbuf(RingbufChardev { size }) => {
            if size.is_some_and(|size| !size.to_bytes().is_power_of_two()) {
                builder.conflict(at.field("size"), "the size of a ring buffer must be a power of two");
            }
            let size = size.map_or(64 << 10, crate::config::Size::to_bytes);
            ("ringbuf", Props::new().with("size", size.to_string()))
        }
        CharBackend::Vc(VcChardev { columns, rows }) => {
            ("vc", Props::new().with_some("cols", *columns).with_some("rows", *rows))
        }
        CharBackend::Spicevmc(SpicevmcChardev { name }) => ("spicevmc", Props::new().with("name", name)),
        CharBackend::Spiceport(SpiceportChardev { name }) => ("spiceport", Props::new().with("name", name)),
        CharBackend::QemuVdagent(VdagentChardev { clipboard, mouse }) => {
            ("qemu-vdagent", Props::new().with("clipboard", *clipboard).with_some("mouse", *mouse))
        }
        CharBackend::Dbus(DbusChardev { name }) => ("dbus", Props::new().with("name", name)),
        CharBackend::Msmouse => ("msmouse", Props::new()),
        CharBackend::Wctablet => ("wctablet", Props::new()),
        CharBackend::Braille => ("braille", Props::new()),
        CharBackend::Testdev => ("testdev", Props::new()),
        CharBackend::Hub(HubChardev { chardevs }) => hub(builder, at, chardevs),
    }
}

fn hub(builder: &mut Builder<'_>, at: At<'_>, chardevs: &[String]) -> (&'static str, Props) {
    builder.needs(at, "a hub of character devices", 10, 0);
    if !(1..=4).contains(&chardevs.len()) {
        builder.conflict(at.field("chardevs"), "a hub must have 1 to 4 character devices");
    }
    let mut props = Props::new();
    for (index, id) in chardevs.iter().enumerate() {
        builder.chardev_of_list(at.item("chardevs", index), "earlier character device", id);
        props.set(format!("chardevs.{index}"), id);
    }
    ("hub", props)
}

fn device(builder: &mut Builder<'_>, at: At<'_>, kind: &'static str, path: &Path) -> (&'static str, Props) {
    let path = builder.raw_path(at.field("path"), path);
    (kind, Props::new().with("path", path))
}

fn socket(builder: &mut Builder<'_>, at: At<'_>, backend: &CharBackend) -> (&'static str, Props) {
    let CharBackend::Socket(SocketChardev { address, server, wait, reconnect_ms, telnet, websocket, tls }) =
        backend
    else {
        return ("null", Props::new());
    };
    let address_at = at.field("address");
    let mut props = match address {
        SocketAddress::Unix(UnixAddress { path }) => {
            builder.check_socket_path(address_at, path);
            Props::new().with("path", builder.raw_path(address_at, path))
        }
        SocketAddress::Inet(InetAddress { host, port }) => host_port(host, *port),
    };
    props.set("server", *server);
    if *server {
        props.set("wait", *wait);
    } else if *wait {
        builder.conflict(at.field("wait"), "`wait` requires `server`");
    }
    if *telnet {
        props.set("telnet", true);
    }
    if *websocket {
        if !server {
            builder.conflict(at.field("websocket"), "`websocket` requires `server`");
        }
        props.set("websocket", true);
    }
    if let Some(id) = tls {
        if *server {
            builder.tls_server(at.field("tls"), id);
        } else {
            builder.tls_client(at.field("tls"), id);
        }
        if matches!(address, SocketAddress::Unix(UnixAddress { .. })) {
            builder.conflict(at.field("tls"), "TLS is not supported on a Unix socket");
        }
        props.set("tls-creds", id);
    }
    if let Some((key, value)) = reconnect(builder, at, *reconnect_ms, *server) {
        props.set(key, value);
    }
    ("socket", props)
}

/// `reconnect` in seconds until 9.1, `reconnect-ms` since 9.2.
pub(super) fn reconnect(
    builder: &mut Builder<'_>,
    at: At<'_>,
    reconnect_ms: Option<u32>,
    server: bool,
) -> Option<(&'static str, Value)> {
    let milliseconds = reconnect_ms?;
    let at = at.field("reconnect_ms");
    if server {
        builder.conflict(at, "reconnecting is only supported for clients");
    }
    if !builder.before(9, 2) {
        return Some(("reconnect-ms", milliseconds.into()));
    }
    if milliseconds % 1000 != 0 {
        builder.needs(at, "reconnecting after a fraction of a second", 9, 2);
    }
    Some(("reconnect", (milliseconds / 1000).into()))
}

fn udp(
    builder: &mut Builder<'_>,
    at: At<'_>,
    remote: &SocketAddress,
    local: Option<&SocketAddress>,
) -> (&'static str, Props) {
    let mut inet = |field, address: &SocketAddress| match address {
        SocketAddress::Inet(InetAddress { host, port }) => (host.clone(), *port),
        SocketAddress::Unix(UnixAddress { .. }) => {
            builder.conflict(at.field(field), "expected a UDP address, HOST:PORT");
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
