//! Character devices: `-chardev`, and who owns one.

use std::path::PathBuf;

use super::bag::{Bag, Why};
use super::line::Line;
use crate::config::{
    CharBackend, Chardev, DbusChardev, FileChardev, HubChardev, ParallelChardev, PipeChardev, RingbufChardev,
    SerialChardev, SocketAddress, SocketChardev, SpiceportChardev, SpicevmcChardev, StdioChardev, UdpChardev,
    VcChardev, VdagentChardev, VmConfig,
};
use crate::value::Value;

/// What a device gets from the character device that it refers to.
pub(super) enum Used {
    /// The device's own.
    Own { at: usize, backend: CharBackend, log: Option<PathBuf> },
    /// One of `chardevs`.
    Listed(String),
}

/// Puts those that several refer to, and those that nobody refers to, into the config's list.
pub(super) fn listed(line: &mut Line, config: &mut VmConfig) {
    for at in line.open("chardev") {
        let bag = line.bag(at);
        let Some(id) = bag.peek("id").map(str::to_owned) else { continue };
        let count = line.references("chardev", &id);
        let own = if line.planned {
            count + line.monitors_on(&id) == 1 && (id.ends_with("-chardev") || id.ends_with("_chardev"))
        } else {
            count + line.monitors_on(&id) == 1
                && (bag.peek("logfile").is_none() || bag.peek("logappend") == Some("on"))
        };
        if !own {
            list(line, config, at);
        }
    }
}

/// Puts what is left into the config's list.
pub(super) fn rest(line: &mut Line, config: &mut VmConfig) {
    for at in line.open("chardev") {
        list(line, config, at);
    }
}

fn list(line: &mut Line, config: &mut VmConfig, at: usize) {
    match chardev(line.bag(at)) {
        Ok(chardev) => {
            config.chardevs.push(chardev);
            line.typed(at);
        }
        Err(why) => line.extra(at, why),
    }
}

pub(super) fn chardev(mut bag: Bag) -> Result<Chardev, Why> {
    let id = bag.needed("id")?;
    let log: Option<PathBuf> = bag.text("logfile")?.map(Into::into);
    let log_append = bag.flag("logappend")?.unwrap_or_default() && log.is_some();
    let mux = bag.flag("mux")?.unwrap_or_default();
    Ok(Chardev { backend: backend(bag)?, log, log_append, mux, id })
}

/// The character device that a device refers to. Nothing is taken until the caller marks the option.
pub(super) fn used(line: &Line, config: &VmConfig, id: &str) -> Result<Used, Why> {
    if config.chardevs.iter().any(|chardev| chardev.id == id) {
        return Ok(Used::Listed(id.to_owned()));
    }
    let at =
        line.definition("chardev", id).ok_or_else(|| format!("there is no character device {id} for it"))?;
    let Chardev { backend, log, log_append, .. } = chardev(line.bag(at))?;
    if log.is_some() && !log_append {
        return Err("the log of a device's own character device is appended to".into());
    }
    let backend = if is_served(line, &backend) { CharBackend::Launcher } else { backend };
    Ok(Used::Own { at, backend, log })
}

/// The character device that a device refers to, which must be its own: a client on a Unix socket.
pub(super) fn unix_client(line: &Line, config: &VmConfig, id: &str) -> Result<(usize, PathBuf, bool), Why> {
    match used(line, config, id)? {
        Used::Own {
            at,
            backend:
                CharBackend::Socket(SocketChardev { address: SocketAddress::Unix(address), server, wait, .. }),
            log: None,
        } if !wait || server => Ok((at, address.path, server)),
        _ => Err("a config has a Unix socket of its own for it".into()),
    }
}

/// Whether it is a socket that the launcher made for the machine.
fn is_served(line: &Line, backend: &CharBackend) -> bool {
    let CharBackend::Socket(SocketChardev {
        address: SocketAddress::Unix(address),
        server: true,
        wait: false,
        ..
    }) = backend
    else {
        return false;
    };
    let name = address.path.file_name().and_then(|name| name.to_str()).unwrap_or_default();
    let rest = name.strip_prefix(line.name.as_str()).and_then(|rest| rest.strip_prefix('.'));
    line.planned && rest.is_some_and(|rest| rest.strip_suffix(".sock").is_some())
}

/// The backend of keys and values without id, log and multiplexer.
pub(super) fn backend(mut bag: Bag) -> Result<CharBackend, Why> {
    let kind = bag.needed("backend")?;
    let backend = match kind.as_str() {
        "null" => CharBackend::Null,
        "pty" => CharBackend::Pty,
        "msmouse" => CharBackend::Msmouse,
        "wctablet" => CharBackend::Wctablet,
        "braille" => CharBackend::Braille,
        "testdev" => CharBackend::Testdev,
        "stdio" => CharBackend::Stdio(StdioChardev { signal: bag.flag("signal")? }),
        "file" => CharBackend::File(FileChardev {
            path: bag.needed("path")?.into(),
            append: bag.flag("append")?.unwrap_or_default(),
        }),
        "pipe" => CharBackend::Pipe(PipeChardev { path: bag.needed("path")?.into() }),
        "serial" | "tty" => CharBackend::Serial(SerialChardev { path: bag.needed("path")?.into() }),
        "parallel" | "parport" => CharBackend::Parallel(ParallelChardev { path: bag.needed("path")?.into() }),
        "ringbuf" | "memory" => CharBackend::Ringbuf(RingbufChardev { size: bag.size("size")? }),
        "vc" => CharBackend::Vc(VcChardev { columns: bag.number("cols")?, rows: bag.number("rows")? }),
        "spicevmc" => CharBackend::Spicevmc(SpicevmcChardev { name: bag.needed("name")? }),
        "spiceport" => CharBackend::Spiceport(SpiceportChardev { name: bag.needed("name")? }),
        "dbus" => CharBackend::Dbus(DbusChardev { name: bag.needed("name")? }),
        "qemu-vdagent" => CharBackend::QemuVdagent(VdagentChardev {
            clipboard: bag.flag("clipboard")?.unwrap_or_default(),
            mouse: bag.flag("mouse")?,
        }),
        "hub" => {
            let mut chardevs = Vec::new();
            while let Some(id) = bag.text(&format!("chardevs.{}", chardevs.len()))? {
                chardevs.push(id);
            }
            CharBackend::Hub(HubChardev { chardevs })
        }
        "socket" => CharBackend::Socket(socket(&mut bag)?),
        "udp" => udp(&mut bag)?,
        other => return Err(format!("a config has no character device of the kind {other}")),
    };
    bag.done()?;
    Ok(backend)
}

fn socket(bag: &mut Bag) -> Result<SocketChardev, Why> {
    let address = match bag.text("path")? {
        Some(path) => SocketAddress::unix(path),
        None => SocketAddress::inet(
            bag.text("host")?.filter(|host| !host.is_empty()).unwrap_or_else(|| "localhost".into()),
            bag.number("port")?.ok_or("`port` is missing")?,
        ),
    };
    // About latency alone; a config has no field for it.
    let _ = bag.take("nodelay");
    let _ = bag.take("delay");
    let server = bag.flag("server")?.unwrap_or_default();
    let wait = bag.flag("wait")?;
    let seconds: Option<u32> = bag.number("reconnect")?.filter(|seconds| *seconds > 0);
    let reconnect_ms = bag.number("reconnect-ms")?.filter(|milliseconds| *milliseconds > 0);
    Ok(SocketChardev {
        address,
        server,
        // A server waits unless it is told not to.
        wait: server && wait.unwrap_or(true),
        reconnect_ms: reconnect_ms.or(seconds.map(|seconds| seconds.saturating_mul(1000))),
        telnet: bag.flag("telnet")?.unwrap_or_default(),
        websocket: bag.flag("websocket")?.unwrap_or_default(),
        tls: bag.text("tls-creds")?,
    })
}

fn udp(bag: &mut Bag) -> Result<CharBackend, Why> {
    let host = bag.text("host")?.filter(|host| !host.is_empty()).unwrap_or_else(|| "localhost".into());
    let remote = SocketAddress::inet(host, bag.number("port")?.ok_or("`port` is missing")?);
    let (host, port) = (bag.text("localaddr")?, bag.number("localport")?);
    let local = match (host, port) {
        (None, None) => None,
        (host, port) => Some(SocketAddress::inet(
            host.filter(|host| !host.is_empty()).unwrap_or_else(|| "0.0.0.0".into()),
            port.unwrap_or(0),
        )),
    };
    Ok(CharBackend::Udp(UdpChardev { remote, local }))
}

/// The older form of `-serial` and others, such as `tcp:localhost:4444,server=on`. `None` for no device at all.
pub(super) fn legacy(text: &str) -> Result<Option<CharBackend>, Why> {
    let text = text.strip_prefix("mon:").unwrap_or(text);
    let simple = |kind: &str| format!("backend={kind}");
    let doubled = |text: &str| text.replace(',', ",,");
    let (word, rest) = text.split_once(':').unwrap_or((text, ""));
    let bag = match word {
        "none" if rest.is_empty() => return Ok(None),
        "null" | "pty" | "stdio" | "msmouse" | "wctablet" | "braille" | "testdev" if rest.is_empty() => {
            simple(word)
        }
        "vc" => match rest.strip_suffix('C').and_then(|rest| rest.split_once("Cx")) {
            Some((columns, rows)) => format!("backend=vc,cols={columns},rows={rows}"),
            None if rest.is_empty() => simple("vc"),
            None => return Err("a config has no console with a size in pixels".into()),
        },
        "file" => format!("backend=file,path={}", doubled(rest)),
        "pipe" => format!("backend=pipe,path={}", doubled(rest)),
        "unix" => format!("backend=socket,path={rest}"),
        "tcp" | "telnet" | "websocket" => {
            let (address, options) = rest
                .split_once(',')
                .map_or((rest, String::new()), |(address, options)| (address, format!(",{options}")));
            let (host, port) = address.rsplit_once(':').ok_or("`HOST:PORT` is missing")?;
            let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
            let protocol = match word {
                "telnet" => ",telnet=on",
                "websocket" => ",websocket=on",
                _ => "",
            };
            format!("backend=socket,host={},port={port}{protocol}{options}", doubled(host))
        }
        "udp" => {
            let (remote, local) =
                rest.split_once('@').map_or((rest, None), |(remote, local)| (remote, Some(local)));
            let (host, port) = remote.rsplit_once(':').ok_or("`HOST:PORT` is missing")?;
            let local = match local.and_then(|local| local.rsplit_once(':')) {
                Some((host, port)) => format!(",localaddr={},localport={port}", doubled(host)),
                None => String::new(),
            };
            format!("backend=udp,host={},port={port}{local}", doubled(host))
        }
        _ if text.starts_with("/dev/parport") => format!("backend=parallel,path={}", doubled(text)),
        _ if text.starts_with("/dev/") => format!("backend=serial,path={}", doubled(text)),
        _ => return Err(format!("a config has no character device of the kind {}", super::bag::short(word))),
    };
    backend(Bag::read(&bag, None, false)?).map(Some)
}

/// The id in `chardev:ID`.
pub(super) fn id_of(text: &str) -> Option<&str> {
    text.strip_prefix("chardev:")
}

/// What a list of texts has.
pub(super) fn texts(values: Vec<Value>) -> Result<Vec<String>, Why> {
    let text = |value: Value| match value {
        Value::Str(text) => Ok(text.to_string()),
        Value::Map(map) => {
            map.get_str("str").map(str::to_owned).ok_or_else(|| "a list holds texts".to_owned())
        }
        _ => Err("a list holds texts".to_owned()),
    };
    let mut found = Vec::new();
    for value in values {
        match value {
            Value::List(items) => {
                for item in items {
                    found.push(text(item)?);
                }
            }
            other => found.push(text(other)?),
        }
    }
    Ok(found)
}
