//! `-vnc`.

use crate::config::{VmConfig, Vnc, VncInet, VncListen, VncShare, VncUnix};
use crate::plan::SocketRole;
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::{Props, Value};

/// QEMU counts VNC displays from this port.
const FIRST_PORT: u16 = 5900;

pub(super) fn vnc(builder: &mut Builder<'_>, config: &VmConfig) {
    let Some(vnc) = &config.vnc else { return };
    let at = At::section("vnc");
    let listen = at.field("listen");
    let (address, to) = match &vnc.listen {
        VncListen::None => (Value::from("none"), None),
        VncListen::Unix(VncUnix { path }) => {
            let at = listen.field("path");
            builder.check_socket_path(at, path);
            builder.known_socket(at, SocketRole::Vnc, path.clone());
            (prefixed("unix:", builder.raw_path(at, path)), None)
        }
        VncListen::Inet(VncInet { host, port, last_port }) => {
            if *port < FIRST_PORT || last_port.is_some_and(|last| last < *port) {
                builder.invalid(
                    listen.field("port"),
                    &port.to_string(),
                    "is not a valid VNC port; expected 5900 or more, and `last_port` not below the first",
                );
            }
            let display = port.saturating_sub(FIRST_PORT);
            let host = builder.host(listen.field("host"), host.as_deref().unwrap_or("127.0.0.1"));
            let to = last_port.map(|last| last.saturating_sub(FIRST_PORT));
            (Value::from(format!("{host}:{display}")), to)
        }
    };
    if vnc.websocket_port.is_some() && !matches!(vnc.listen, VncListen::Inet(VncInet { .. })) {
        // QEMU ignores it without a listener, and opens it to everybody beside a Unix socket.
        builder.conflict(at.field("websocket_port"), "`websocket_port` requires a TCP address in `listen`");
    }
    let props = Props::new()
        .with("vnc", address)
        .with_some("to", to)
        .with_some("websocket", vnc.websocket_port.map(|port| port.to_string()));
    let props = access(builder, at, vnc, props);
    let share = vnc.share.map(|share| match share {
        VncShare::AllowExclusive => "allow-exclusive",
        VncShare::ForceShared => "force-shared",
        VncShare::Ignore => "ignore",
    });
    let on = |flag: bool| flag.then_some(true);
    let props = props
        .with_some("lossy", on(vnc.lossy))
        .with_some("non-adaptive", on(vnc.non_adaptive))
        .with_some("share", share)
        .with_some("power-control", on(vnc.power_control))
        .with_some("audiodev", vnc.audio.as_ref());
    if let Some(audio) = &vnc.audio {
        builder.audio(at.field("audio"), config, audio);
    }
    builder.option(at, "-vnc", props);
    if let Some(layout) = &vnc.keyboard {
        if config.keyboard_layout.is_some() {
            builder.conflict(
                at.field("keyboard"),
                "`vnc.keyboard` and `keyboard_layout` are the same; set one of them",
            );
        }
        layout_of(builder, at.field("keyboard"), layout);
    }
}

/// The layout of all that is no VNC.
pub(super) fn keyboard(builder: &mut Builder<'_>, config: &VmConfig) {
    if let Some(layout) = &config.keyboard_layout {
        layout_of(builder, At::section("keyboard_layout"), layout);
    }
}

fn layout_of(builder: &mut Builder<'_>, at: At<'_>, layout: &str) {
    let good = !layout.is_empty()
        && layout.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_".contains(&byte));
    if !good || layout == "help" {
        // QEMU makes a file name of it.
        builder.invalid(at, layout, "is not a valid keyboard layout");
    }
    builder.plain(at, "-k", layout);
}

fn access(builder: &mut Builder<'_>, at: At<'_>, vnc: &Vnc, mut props: Props) -> Props {
    if let Some(secret) = &vnc.password_secret {
        builder.secret(at.field("password_secret"), secret);
        props.set("password-secret", secret);
        if vnc.password {
            builder.conflict(at.field("password"), "`password` conflicts with `password_secret`");
        }
    } else if vnc.password {
        props.set("password", true);
    }
    if let Some(tls) = &vnc.tls {
        builder.tls_server(at.field("tls"), tls);
        props.set("tls-creds", tls);
    }
    if vnc.sasl {
        if vnc.password || vnc.password_secret.is_some() {
            // QEMU would ask for the password alone.
            builder.conflict(at.field("sasl"), "`sasl` cannot be combined with a password");
        }
        props.set("sasl", true);
    }
    props
}

/// A path behind a word, whatever bytes it has.
fn prefixed(prefix: &str, path: Value) -> Value {
    match path {
        Value::Str(text) => Value::from(format!("{prefix}{text}")),
        Value::Bytes(bytes) => Value::Bytes([prefix.as_bytes(), &bytes].concat()),
        other => other,
    }
}
