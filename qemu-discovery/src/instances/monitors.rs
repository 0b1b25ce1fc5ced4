//! The monitors of a QEMU, from its command line and from the sockets that it listens on.

use std::collections::BTreeMap;
use std::fmt;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::cmdline::CommandLine;
use super::options::Options;
use super::procfs::{self, Files};
use crate::Places;

/// The protocol of a monitor.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Protocol {
    /// QMP.
    Qmp,
    /// The human monitor.
    Human,
    /// Unknown: a socket that QEMU listens on, whose purpose is not on the command line.
    Unknown,
}

/// The address of a monitor.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Address {
    /// A Unix socket.
    Unix(PathBuf),
    /// An abstract Unix socket (Linux).
    Abstract(String),
    /// A TCP port.
    Tcp {
        /// The host name or address.
        host: String,
        /// The port, by number or by name.
        port: String,
    },
    /// A file descriptor that the process was started with.
    Descriptor(u32),
    /// Something else, such as `stdio` or `pty`.
    Other(String),
}

impl fmt::Display for Address {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) if path.is_relative() => {
                write!(formatter, "{} in a directory that the process has left", path.display())
            }
            Self::Unix(path) => write!(formatter, "{}", path.display()),
            Self::Abstract(name) => write!(formatter, "abstract socket {name}"),
            Self::Tcp { host, port } => write!(formatter, "{host}:{port}"),
            Self::Descriptor(fd) => {
                write!(formatter, "file descriptor {fd}, whose other end its launcher holds")
            }
            Self::Other(what) => formatter.write_str(what),
        }
    }
}

/// A monitor, or a socket that may be one.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[non_exhaustive]
pub struct Monitor {
    /// The protocol.
    pub protocol: Protocol,
    /// The address.
    pub address: Address,
    /// Whether QEMU listens there.
    pub server: bool,
}

impl Monitor {
    /// Whether it can be connected to. A path is relative if its directory could not be determined.
    pub fn listens(&self) -> bool {
        self.server
            && match &self.address {
                Address::Unix(path) => path.is_absolute(),
                Address::Abstract(_) | Address::Tcp { .. } => true,
                Address::Descriptor(_) | Address::Other(_) => false,
            }
    }
}

/// All monitors of a process, QMP first, then sockets of unknown purpose.
pub(super) fn find(places: &Places, pid: u32, line: &CommandLine, files: Option<&Files>) -> Vec<Monitor> {
    let sockets = procfs::listening_sockets(places, pid);
    let chardevs: BTreeMap<String, Monitor> = line
        .options("chardev", "backend")
        .iter()
        .filter_map(|options| Some((options.get("id")?.to_owned(), backend(options))))
        .collect();
    let mut monitors = Vec::new();
    let mut add = |protocol, found: Monitor| monitors.push(Monitor { protocol, ..found });
    for option in ["qmp", "qmp-pretty"] {
        line.values(option).for_each(|value| add(Protocol::Qmp, device(value, &chardevs)));
    }
    line.values("monitor")
        .filter(|value| *value != "none")
        .for_each(|value| add(Protocol::Human, device(value, &chardevs)));
    for (protocol, id) in named(line) {
        if let Some(found) = chardevs.get(&id) {
            add(protocol, found.clone());
        }
    }
    // `-serial mon:…` shares its back end with a human monitor, as `-nographic` does.
    for value in ["serial", "parallel"].iter().flat_map(|option| line.values(option)) {
        if let Some(shared) = value.strip_prefix("mon:") {
            add(Protocol::Human, device(shared, &chardevs));
        }
    }
    for monitor in &mut monitors {
        settle(places, pid, monitor, &sockets, files);
    }
    // Several monitors may share one socket: whoever connects gets one that is free.
    let mut seen = Vec::new();
    monitors.retain(|monitor| {
        let first = !seen.contains(monitor);
        if first {
            seen.push(monitor.clone());
        }
        first
    });
    monitors.sort_by_key(|monitor| monitor.protocol != Protocol::Qmp);
    let known: Vec<Address> = chardevs
        .values()
        .map(|chardev| {
            let mut chardev = chardev.clone();
            settle(places, pid, &mut chardev, &sockets, files);
            chardev.address
        })
        .chain(others(line))
        .collect();
    let own = files.into_iter().flat_map(Files::values).filter_map(|target| sockets.get(&inode(target)?));
    let own: Vec<_> = own.map(|path| socket_address(path)).collect();
    for address in own {
        let mut found = Monitor { protocol: Protocol::Unknown, address, server: true };
        settle(places, pid, &mut found, &sockets, files);
        if !known.contains(&found.address) && monitors.iter().all(|monitor| monitor.address != found.address)
        {
            monitors.push(found);
        }
    }
    monitors
}

/// Whether the monitors are as qemuctl makes them: QMP on standard input, and again on a socket of the guest's name.
pub(super) fn are_ours(monitors: &[Monitor], name: Option<&str>) -> bool {
    let qmp = |wanted: &dyn Fn(&Address) -> bool| {
        monitors.iter().any(|monitor| monitor.protocol == Protocol::Qmp && wanted(&monitor.address))
    };
    let Some(name) = name else { return false };
    let file = format!("{name}.sock");
    qmp(&|address| *address == Address::Descriptor(0))
        && qmp(
            &|address| matches!(address, Address::Unix(path) if path.file_name().is_some_and(|is| *is == *file)),
        )
}

/// The character devices that `-mon` and `-object monitor-…` make monitors of.
fn named(line: &CommandLine) -> Vec<(Protocol, String)> {
    let mut named = Vec::new();
    for options in line.options("mon", "chardev") {
        let protocol = if options.get("mode") == Some("control") { Protocol::Qmp } else { Protocol::Human };
        named.extend(options.get("chardev").map(|id| (protocol, id.to_owned())));
    }
    let objects = line.values("object").map(|value| {
        if value.starts_with('{') {
            let json: serde_json::Value = serde_json::from_str(value).unwrap_or_default();
            let field = |name: &str| json.get(name).and_then(|value| value.as_str()).map(str::to_owned);
            (field("qom-type"), field("chardev"))
        } else {
            let options = Options::read(value, "qom-type");
            (options.get("qom-type").map(str::to_owned), options.get("chardev").map(str::to_owned))
        }
    });
    for (kind, chardev) in objects {
        let protocol = match kind.as_deref() {
            Some("monitor-qmp") => Protocol::Qmp,
            Some("monitor-hmp") => Protocol::Human,
            _ => continue,
        };
        named.extend(chardev.map(|id| (protocol, id)));
    }
    named
}

/// Sockets that the command line gives another purpose than a monitor's.
fn others(line: &CommandLine) -> Vec<Address> {
    let vnc = line.values("vnc").filter_map(|value| {
        let value = value.strip_prefix("vnc=").unwrap_or(value);
        Some(Address::Unix(Options::read(value.strip_prefix("unix:")?, "path").get("path")?.into()))
    });
    let spice = line.options("spice", "").into_iter().filter_map(|options| {
        options.is_on("unix").then(|| options.get("addr").map(|path| Address::Unix(path.into())))?
    });
    let serial = ["serial", "parallel"].into_iter().flat_map(|option| line.values(option));
    let serial = serial.map(|value| device(value, &BTreeMap::new()).address);
    vnc.chain(spice).chain(serial).collect()
}

/// A character device as `-chardev` and configuration files spell it.
fn backend(options: &Options) -> Monitor {
    let text = |key: &str| options.get(key).map(str::to_owned);
    let number = options.get("fd").and_then(|fd| fd.parse().ok());
    let address = match (options.get("backend"), text("path"), text("port")) {
        (Some("socket"), Some(path), _) if options.is_on("abstract") => Address::Abstract(path),
        (Some("socket"), Some(path), _) => Address::Unix(path.into()),
        (Some("socket"), None, Some(port)) => Address::Tcp { host: text("host").unwrap_or_default(), port },
        (Some("socket"), None, None) => {
            number.map_or_else(|| Address::Other("socket".into()), Address::Descriptor)
        }
        (kind, _, _) => Address::Other(kind.unwrap_or("unknown").to_owned()),
    };
    Monitor { protocol: Protocol::Unknown, address, server: options.is_on("server") }
}

/// A character device in the short form of `-qmp`, `-monitor` and `-serial`: `unix:PATH,…`, `tcp:HOST:PORT,…`,
/// `chardev:ID`.
fn device(text: &str, chardevs: &BTreeMap<String, Monitor>) -> Monitor {
    let other =
        || Monitor { protocol: Protocol::Unknown, address: Address::Other(text.to_owned()), server: false };
    let (kind, rest) = text.split_once(':').unwrap_or((text, ""));
    match kind {
        "mon" => device(rest, chardevs),
        "chardev" => chardevs.get(rest).cloned().unwrap_or_else(other),
        "unix" => {
            let options = Options::read(rest, "path");
            let path = options.get("path").unwrap_or_default().to_owned();
            let address =
                if options.is_on("abstract") { Address::Abstract(path) } else { Address::Unix(path.into()) };
            Monitor { protocol: Protocol::Unknown, address, server: options.is_on("server") }
        }
        "tcp" | "telnet" | "websocket" => {
            let options = Options::read(rest, "to");
            let (host, port) = options.get("to").unwrap_or_default().rsplit_once(':').unwrap_or_default();
            let host = host.trim_start_matches('[').trim_end_matches(']').to_owned();
            let address = Address::Tcp { host, port: port.to_owned() };
            Monitor { protocol: Protocol::Unknown, address, server: options.is_on("server") }
        }
        _ => other(),
    }
}

/// Completes what the command line says by what the process has: a listening socket that came as a descriptor has a path,
/// and a relative path counts from a folder of the process.
fn settle(
    places: &Places,
    pid: u32,
    monitor: &mut Monitor,
    sockets: &BTreeMap<u64, String>,
    files: Option<&Files>,
) {
    match &mut monitor.address {
        Address::Descriptor(fd) => {
            let path = files.and_then(|files| sockets.get(&inode(files.get(fd)?)?));
            if let Some(path) = path.filter(|_| monitor.server) {
                monitor.address = socket_address(path);
            }
        }
        Address::Unix(path) => {
            if let Some(resolved) = procfs::resolve(places, pid, path) {
                *path = resolved;
            }
        }
        Address::Tcp { host, .. } if host.is_empty() => *host = "localhost".into(),
        _ => {}
    }
}

/// The inode number in `socket:[1234]`.
fn inode(target: &str) -> Option<u64> {
    target.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()
}

fn socket_address(path: &str) -> Address {
    match path.strip_prefix('@') {
        Some(name) => Address::Abstract(name.to_owned()),
        None => Address::Unix(path.into()),
    }
}
