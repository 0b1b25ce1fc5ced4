//! What holds the bytes of an image: a block node's options, or the older form of one text.

use super::bag::{Bag, Why};
use crate::config::{
    DiskBackend, HostDeviceDisk, HttpDisk, IscsiDisk, NbdDisk, NullDisk, NvmeDisk, RbdDisk, Sha256HostKey,
    SocketAddress, SshDisk, SshHostKey,
};
use crate::value::Value;

/// The backend that a node's options say, without what every node has.
pub(super) fn backend(mut bag: Bag) -> Result<DiskBackend, Why> {
    let driver = bag.needed("driver")?;
    let backend = match driver.as_str() {
        "file" => DiskBackend::file(bag.needed("filename")?),
        "host_device" => DiskBackend::HostDevice(HostDeviceDisk { path: bag.needed("filename")?.into() }),
        "nbd" => {
            let server = bag.table("server")?.ok_or("`server` is missing")?;
            DiskBackend::Nbd(NbdDisk {
                server: address(server)?,
                export: bag.text("export")?,
                tls: bag.text("tls-creds")?,
                tls_hostname: bag.text("tls-hostname")?,
                reconnect_s: bag.number("reconnect-delay")?,
            })
        }
        "rbd" => DiskBackend::Rbd(RbdDisk {
            pool: bag.needed("pool")?,
            image: bag.needed("image")?,
            namespace: bag.text("namespace")?,
            snapshot: bag.text("snapshot")?,
            user: bag.text("user")?,
            key_secret: bag.text("key-secret")?,
            conf: bag.text("conf")?.map(Into::into),
            monitors: monitors(&mut bag)?,
        }),
        "iscsi" => {
            if bag.text("transport")?.as_deref() != Some("tcp") {
                return Err("a config has only iSCSI over TCP".into());
            }
            DiskBackend::Iscsi(IscsiDisk {
                portal: bag.needed("portal")?,
                target: bag.needed("target")?,
                lun: bag.number("lun")?.unwrap_or_default(),
                user: bag.text("user")?,
                password_secret: bag.text("password-secret")?,
                initiator: bag.text("initiator-name")?,
                header_digest: bag.same_word("header-digest")?,
                timeout_s: bag.number("timeout")?,
            })
        }
        "ssh" => {
            let mut server = bag.table("server")?.ok_or("`server` is missing")?;
            let host = server.needed("host")?;
            let port = server.number("port")?;
            server.done()?;
            DiskBackend::Ssh(SshDisk {
                host,
                port: port.filter(|port| *port != 22),
                path: bag.needed("path")?,
                user: bag.text("user")?,
                host_key: host_key(&mut bag)?,
            })
        }
        "http" | "https" => DiskBackend::Http(HttpDisk {
            url: bag.needed("url")?,
            user: bag.text("username")?,
            password_secret: bag.text("password-secret")?,
            cookie_secret: bag.text("cookie-secret")?,
            verify: bag.flag("sslverify")?,
            readahead: bag.size("readahead")?,
            timeout_s: bag.number("timeout")?,
        }),
        "nvme" => DiskBackend::Nvme(NvmeDisk {
            device: bag.needed("device")?,
            namespace: bag.number("namespace")?.ok_or("`namespace` is missing")?,
        }),
        "null-co" => {
            if bag.flag("read-zeroes")? != Some(true) {
                return Err("a config has only a null disk that reads as zeroes".into());
            }
            DiskBackend::Null(NullDisk { size: bag.size("size")?.ok_or("`size` is missing")? })
        }
        other => return Err(format!("a config has no image of the kind {other}")),
    };
    bag.done()?;
    Ok(backend)
}

/// The address of a socket, as QEMU's schema has it.
pub(super) fn address(mut bag: Bag) -> Result<SocketAddress, Why> {
    let address = match bag.text("type")?.as_deref() {
        Some("unix") => SocketAddress::unix(bag.needed("path")?),
        Some("inet") | None => {
            SocketAddress::inet(bag.needed("host")?, bag.number("port")?.ok_or("`port` is missing")?)
        }
        Some(other) => return Err(format!("a config has no address of the type {other}")),
    };
    bag.done()?;
    Ok(address)
}

fn monitors(bag: &mut Bag) -> Result<Vec<SocketAddress>, Why> {
    let mut monitors = Vec::new();
    match bag.take("server") {
        None => {}
        Some(Value::List(items)) => {
            for item in items {
                let mut holder = Bag::default();
                holder.put("server", item);
                monitors.push(address(holder.table("server")?.unwrap_or_default())?);
            }
        }
        Some(_) => return Err("`server` is not a list".into()),
    }
    Ok(monitors)
}

fn host_key(bag: &mut Bag) -> Result<SshHostKey, Why> {
    let Some(mut check) = bag.table("host-key-check")? else { return Ok(SshHostKey::KnownHosts) };
    let key = match check.needed("mode")?.as_str() {
        "known_hosts" => SshHostKey::KnownHosts,
        "none" => SshHostKey::None,
        "hash" if check.text("type")?.as_deref() == Some("sha256") => {
            SshHostKey::Sha256(Sha256HostKey::new(check.needed("hash")?))
        }
        _ => return Err("a config has no such check of a host's key".into()),
    };
    check.done()?;
    Ok(key)
}

/// An image in one text, as `-drive file=` and `-hda` take it.
pub(super) fn of_text(text: &str) -> Result<DiskBackend, Why> {
    let protocol = text.split(['/', '.', ',', ' ']).next().and_then(|start| start.split_once(':'));
    let Some((protocol, rest)) = protocol.map(|(protocol, _)| (protocol, &text[protocol.len() + 1..])) else {
        // QEMU opens a device of the host as one by itself.
        let is_device = text.starts_with("/dev/");
        return Ok(if is_device {
            DiskBackend::HostDevice(HostDeviceDisk::new(text))
        } else {
            DiskBackend::file(text)
        });
    };
    match protocol {
        "file" => of_path(rest),
        "http" | "https" => Ok(DiskBackend::Http(HttpDisk::new(text))),
        "nbd" | "nbd+tcp" => {
            let place = rest.strip_prefix("//").ok_or("a config has no such address of an NBD server")?;
            let (server, export) = place.split_once('/').unwrap_or((place, ""));
            let server = if server.rsplit_once(':').is_some_and(|(_, port)| port.parse::<u16>().is_ok()) {
                server.to_owned()
            } else {
                format!("{server}:10809")
            };
            let server = server.parse().map_err(|_| "its address is not HOST:PORT".to_owned())?;
            let export = (!export.is_empty()).then(|| export.to_owned());
            Ok(DiskBackend::Nbd(NbdDisk { export, ..NbdDisk::new(server) }))
        }
        "nbd+unix" => {
            let (export, query) =
                rest.trim_start_matches('/').split_once('?').ok_or("`?socket=` is missing")?;
            let socket = query.strip_prefix("socket=").filter(|socket| !socket.contains(['&', '%']));
            let server = SocketAddress::unix(socket.ok_or("`?socket=` is missing")?);
            let export = (!export.is_empty()).then(|| export.to_owned());
            Ok(DiskBackend::Nbd(NbdDisk { export, ..NbdDisk::new(server) }))
        }
        other => Err(format!("a config has no image behind {other}: in one text")),
    }
}

fn of_path(path: &str) -> Result<DiskBackend, Why> {
    let path = path.strip_prefix("//").filter(|path| path.starts_with('/')).unwrap_or(path);
    if path.is_empty() { Err("its file is missing".into()) } else { Ok(DiskBackend::file(path)) }
}
