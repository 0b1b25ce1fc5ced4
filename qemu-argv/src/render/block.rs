//! Block nodes: the backend that holds the bytes, the format that reads them.

use std::path::Path;

use super::address::{host_port, socket_address};
use crate::config::{
    Backing, BlockFormat, Cache, DiskAio, DiskBackend, HeaderDigest, Size, SocketAddress, SshHostKey,
};
use crate::draft::Draft;
use crate::error::At;
use crate::value::{Props, Value};

/// How an image is opened.
#[derive(Clone, Copy)]
pub(super) struct Opening {
    pub(super) read_only: bool,
    pub(super) cache: Option<Cache>,
    pub(super) aio: Option<DiskAio>,
    pub(super) discard: bool,
}

/// An image: its backend and what reads it.
#[derive(Clone, Copy)]
pub(super) struct Image<'a> {
    pub(super) backend: &'a DiskBackend,
    pub(super) format: Option<BlockFormat>,
    pub(super) key_secret: Option<&'a str>,
    pub(super) backing: &'a Backing,
}

/// Adds the nodes of an image; the upper one is called `name`, the lower `name-file`.
pub(super) fn image(
    draft: &mut Draft<'_>,
    at: At<'_>,
    name: &str,
    image: Image<'_>,
    opening: Opening,
    extra: Props,
) {
    let format = image.format.or_else(|| format_of(image.backend));
    if format.is_none() {
        draft.conflict(
            at.field("format"),
            "the file's name does not tell the format: give `format` (QEMU must not guess it from the content)",
        );
    }
    let format = format.unwrap_or(BlockFormat::Raw);
    let backing = backing(draft, at, name, format, image.backing, opening);

    let storage = format!("{name}-file");
    let (driver, mut props) = backend(draft, at, image.backend, opening);
    common(&mut props, opening);
    draft.node(at, driver, storage.clone(), props);

    let mut props = Props::new().with("file", storage).with("read-only", opening.read_only);
    if let Some(backing) = backing {
        props.set("backing", backing);
    }
    if let Some(secret) = image.key_secret {
        let at = at.field("key_secret");
        draft.secret(at, secret);
        match format {
            BlockFormat::Luks => props.set("key-secret", secret.to_owned()),
            BlockFormat::Qcow2 => props
                .set("encrypt", Props::new().with("format", "luks").with("key-secret", secret.to_owned())),
            other => draft.conflict(at, format!("the format {} is not encrypted", other.qemu_name())),
        }
    } else if format == BlockFormat::Luks {
        draft.conflict(at.field("key_secret"), "a luks image needs the id of the secret that unlocks it");
    }
    common(&mut props, opening);
    props.extend(extra);
    draft.node(at, format.qemu_name(), name.to_owned(), props);
}

/// Options that both nodes of an image take.
fn common(props: &mut Props, opening: Opening) {
    if let Some(cache) = opening.cache {
        let direct = matches!(cache, Cache::None | Cache::Directsync);
        let cache = Props::new().with("direct", direct).with("no-flush", cache == Cache::Unsafe);
        props.set("cache", cache);
    }
    if opening.discard {
        props.set("discard", "unmap");
    }
}

/// The format of an image whose owner does not name it: by the ending of a file's name, never by its content.
fn format_of(backend: &DiskBackend) -> Option<BlockFormat> {
    let DiskBackend::File { path } = backend else { return Some(BlockFormat::Raw) };
    let ending = path.extension()?.to_str()?.to_ascii_lowercase();
    Some(match ending.as_str() {
        "raw" | "img" | "iso" | "bin" => BlockFormat::Raw,
        "qcow2" => BlockFormat::Qcow2,
        "vmdk" => BlockFormat::Vmdk,
        "vdi" => BlockFormat::Vdi,
        "vhdx" => BlockFormat::Vhdx,
        "vhd" | "vpc" => BlockFormat::Vpc,
        "qed" => BlockFormat::Qed,
        "luks" => BlockFormat::Luks,
        _ => return None,
    })
}

/// The value of `backing`: nothing to leave it to the image's header, `null` for none, else a node's name.
fn backing(
    draft: &mut Draft<'_>,
    at: At<'_>,
    name: &str,
    format: BlockFormat,
    backing: &Backing,
    opening: Opening,
) -> Option<Value> {
    if *backing == Backing::Header {
        return None;
    }
    let at = at.field("backing");
    let possible = matches!(format, BlockFormat::Qcow2 | BlockFormat::Vmdk | BlockFormat::Qed);
    match backing {
        Backing::Header => None,
        // Such a format has no backing image anyway, and QEMU no option to say so.
        Backing::None => possible.then_some(Value::Null),
        Backing::Image(_) if !possible => {
            draft.conflict(at, format!("the format {} has no backing image", format.qemu_name()));
            None
        }
        Backing::Image(below) => {
            let node = format!("{name}-b");
            let opening = Opening { read_only: true, discard: false, ..opening };
            let part = Image {
                backend: &below.backend,
                format: below.format,
                key_secret: below.key_secret.as_deref(),
                backing: &below.backing,
            };
            image(draft, at, &node, part, opening, Props::new());
            Some(Value::from(node))
        }
    }
}

/// The driver and options of a backend.
fn backend(
    draft: &mut Draft<'_>,
    at: At<'_>,
    backend: &DiskBackend,
    opening: Opening,
) -> (&'static str, Props) {
    let at_aio = at.field("aio");
    let at = at.field("backend");
    let is_file = matches!(backend, DiskBackend::File { .. } | DiskBackend::HostDevice { .. });
    if opening.aio.is_some() && !is_file {
        draft.conflict(at_aio, "only files and host devices have a choice of I/O");
    }
    let direct = matches!(opening.cache, Some(Cache::None | Cache::Directsync));
    if opening.aio == Some(DiskAio::Native) && !direct {
        draft.conflict(at_aio, "native I/O needs `cache = \"none\"` or `\"directsync\"`");
    }
    let (driver, props) = match backend {
        DiskBackend::File { path } => ("file", local(draft, at, path, opening)),
        DiskBackend::HostDevice { path } => ("host_device", local(draft, at, path, opening)),
        DiskBackend::Nbd { server, export, tls, tls_hostname, reconnect_s } => {
            let mut props = Props::new()
                .with("server", socket_address(draft, at.field("server"), server))
                .with_some("export", export.as_ref());
            if let Some(id) = tls {
                draft.tls_client(at.field("tls"), id);
                props.set("tls-creds", id);
            }
            if tls_hostname.is_some() && tls.is_none() {
                draft.conflict(at.field("tls_hostname"), "a host name for TLS needs `tls`");
            }
            let props = props
                .with_some("tls-hostname", tls_hostname.as_ref())
                .with_some("reconnect-delay", *reconnect_s);
            ("nbd", props)
        }
        DiskBackend::Rbd { pool, image, namespace, snapshot, user, key_secret, conf, monitors } => {
            let mut props = Props::new()
                .with("pool", pool)
                .with("image", image)
                .with_some("namespace", namespace.as_ref())
                .with_some("snapshot", snapshot.as_ref())
                .with_some("user", user.as_ref());
            if let Some(secret) = key_secret {
                draft.secret(at.field("key_secret"), secret);
                props.set("key-secret", secret);
            }
            if let Some(conf) = conf {
                let path = draft.path(at.field("conf"), conf);
                props.set("conf", path);
            }
            if !monitors.is_empty() {
                let mut list = Vec::new();
                for (index, monitor) in monitors.iter().enumerate() {
                    match monitor {
                        // QEMU joins them to one text, in which others could hide.
                        SocketAddress::Inet { host, port } => {
                            let host = draft.host(at.item("monitors", index), host);
                            list.push(Value::from(host_port(&host, *port)));
                        }
                        SocketAddress::Unix { .. } => {
                            draft.conflict(at.item("monitors", index), "a monitor is HOST:PORT");
                        }
                    }
                }
                props.set("server", list);
            }
            ("rbd", props)
        }
        DiskBackend::Iscsi {
            portal,
            target,
            lun,
            user,
            password_secret,
            initiator,
            header_digest,
            timeout_s,
        } => {
            let mut props = Props::new()
                .with("transport", "tcp")
                .with("portal", portal)
                .with("target", target)
                .with("lun", *lun)
                .with_some("initiator-name", initiator.as_ref())
                .with_some("user", user.as_ref());
            if user.is_some() != password_secret.is_some() {
                draft.conflict(at, "CHAP needs both `user` and `password_secret`");
            }
            if let Some(secret) = password_secret {
                draft.secret(at.field("password_secret"), secret);
                props.set("password-secret", secret);
            }
            let digest = header_digest.map(|digest| match digest {
                HeaderDigest::Crc32c => "crc32c",
                HeaderDigest::None => "none",
                HeaderDigest::Crc32cNone => "crc32c-none",
                HeaderDigest::NoneCrc32c => "none-crc32c",
            });
            ("iscsi", props.with_some("header-digest", digest).with_some("timeout", *timeout_s))
        }
        DiskBackend::Ssh { host, port, path, user, host_key } => {
            let check = match host_key {
                SshHostKey::KnownHosts => Props::new().with("mode", "known_hosts"),
                SshHostKey::None => Props::new().with("mode", "none"),
                SshHostKey::Sha256 { hash } => {
                    if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                        let at = at.field("host_key");
                        draft.invalid(
                            at.field("hash"),
                            hash,
                            "is no SHA-256 fingerprint: 64 hexadecimal digits",
                        );
                    }
                    Props::new().with("mode", "hash").with("type", "sha256").with("hash", hash)
                }
            };
            let props = Props::new()
                .with("server", host_port(host, port.unwrap_or(22)))
                .with("path", path)
                .with_some("user", user.as_ref())
                .with("host-key-check", check);
            ("ssh", props)
        }
        DiskBackend::Http { url, user, password_secret, cookie_secret, verify, readahead, timeout_s } => {
            let secure = url.starts_with("https://");
            if !secure && !url.starts_with("http://") {
                draft.invalid(at.field("url"), url, "is no http:// or https:// address");
            }
            let authority = url.split("//").nth(1).unwrap_or_default().split(['/', '?', '#']).next();
            if authority.is_some_and(|authority| authority.contains('@')) {
                // The address stands in QEMU's arguments, which everybody on the host can read.
                draft.conflict(
                    at.field("url"),
                    "an address shows its password to everybody: use `user` and `password_secret`",
                );
            }
            if !opening.read_only {
                draft.conflict(at, "a web server's file can only be read: set `read_only`");
            }
            let mut props = Props::new().with("url", url).with_some("username", user.as_ref());
            for (field, key, secret) in [
                ("password_secret", "password-secret", password_secret),
                ("cookie_secret", "cookie-secret", cookie_secret),
            ] {
                if let Some(secret) = secret {
                    draft.secret(at.field(field), secret);
                    props.set(key, secret);
                }
            }
            if verify.is_some() && !secure {
                draft.conflict(at.field("verify"), "only https has a certificate to check");
            }
            let props = props
                .with_some("sslverify", *verify)
                .with_some("readahead", readahead.map(Size::to_bytes))
                .with_some("timeout", *timeout_s);
            (if secure { "https" } else { "http" }, props)
        }
        DiskBackend::Nvme { device, namespace } => {
            // QEMU makes a path of it.
            if !device.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
                || device.is_empty()
            {
                draft.invalid(
                    at.field("device"),
                    device,
                    "is no PCI address of the host, such as 0000:01:00.0",
                );
            }
            ("nvme", Props::new().with("device", device).with("namespace", *namespace))
        }
        DiskBackend::Null { size } => {
            ("null-co", Props::new().with("size", size.to_bytes()).with("read-zeroes", true))
        }
    };
    (driver, props.with("read-only", opening.read_only).with("auto-read-only", !opening.read_only))
}

fn local(draft: &mut Draft<'_>, at: At<'_>, path: &Path, opening: Opening) -> Props {
    let path = draft.path(at.field("path"), path);
    let aio = opening.aio.map(|aio| match aio {
        DiskAio::Threads => "threads",
        DiskAio::Native => "native",
        DiskAio::IoUring => "io_uring",
    });
    Props::new().with("filename", path).with_some("aio", aio)
}
