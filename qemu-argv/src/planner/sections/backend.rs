//! What holds the bytes of an image: a file, a device, a server.

use std::path::Path;

use super::address::{host_port, socket_address};
use crate::config::{
    Cache, DiskAio, DiskBackend, FileDisk, HeaderDigest, HostDeviceDisk, HttpDisk, InetAddress, IscsiDisk,
    NbdDisk, NullDisk, NvmeDisk, RbdDisk, Sha256HostKey, Size, SocketAddress, SshDisk, SshHostKey,
    UnixAddress,
};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::value::{Props, Value};

/// How an image is opened.
#[derive(Clone, Copy)]
pub(super) struct Opening {
    pub(super) read_only: bool,
    pub(super) cache: Option<Cache>,
    pub(super) aio: Option<DiskAio>,
    pub(super) discard: bool,
}

/// The driver and options of the backend in `field`.
pub(super) fn backend(
    builder: &mut Builder<'_>,
    at: At<'_>,
    field: &'static str,
    backend: &DiskBackend,
    opening: Opening,
) -> (&'static str, Props) {
    let at_aio = at.field("aio");
    let at = at.field(field);
    let is_file = matches!(
        backend,
        DiskBackend::File(FileDisk { .. }) | DiskBackend::HostDevice(HostDeviceDisk { .. })
    );
    if opening.aio.is_some() && !is_file {
        builder.conflict(at_aio, "`aio` is only supported by files and host devices");
    }
    let direct = matches!(opening.cache, Some(Cache::None | Cache::Directsync));
    if opening.aio == Some(DiskAio::Native) && !direct {
        builder.conflict(at_aio, "native I/O requires `cache = \"none\"` or `\"directsync\"`");
    }
    let (driver, props) = match backend {
        DiskBackend::File(FileDisk { path }) => ("file", local(builder, at, path, opening)),
        DiskBackend::HostDevice(HostDeviceDisk { path }) => {
            ("host_device", local(builder, at, path, opening))
        }
        DiskBackend::Nbd(NbdDisk { server, export, tls, tls_hostname, reconnect_s }) => {
            let mut props = Props::new()
                .with("server", socket_address(builder, at.field("server"), server))
                .with_some("export", export.as_ref());
            if let Some(id) = tls {
                builder.tls_client(at.field("tls"), id);
                props.set("tls-creds", id);
            }
            if tls_hostname.is_some() && tls.is_none() {
                builder.conflict(at.field("tls_hostname"), "`tls_hostname` requires `tls`");
            }
            let props = props
                .with_some("tls-hostname", tls_hostname.as_ref())
                .with_some("reconnect-delay", *reconnect_s);
            ("nbd", props)
        }
        DiskBackend::Rbd(RbdDisk { pool, image, namespace, snapshot, user, key_secret, conf, monitors }) => {
            let mut props = Props::new()
                .with("pool", pool)
                .with("image", image)
                .with_some("namespace", namespace.as_ref())
                .with_some("snapshot", snapshot.as_ref())
                .with_some("user", user.as_ref());
            if let Some(secret) = key_secret {
                builder.secret(at.field("key_secret"), secret);
                props.set("key-secret", secret);
            }
            if let Some(conf) = conf {
                let path = builder.path(at.field("conf"), conf);
                props.set("conf", path);
            }
            if !monitors.is_empty() {
                let mut list = Vec::new();
                for (index, monitor) in monitors.iter().enumerate() {
                    match monitor {
                        // QEMU joins them to one text, in which others could hide.
                        SocketAddress::Inet(InetAddress { host, port }) => {
                            let host = builder.host(at.item("monitors", index), host);
                            list.push(Value::from(host_port(&host, *port)));
                        }
                        SocketAddress::Unix(UnixAddress { .. }) => {
                            builder.conflict(at.item("monitors", index), "a monitor must be HOST:PORT");
                        }
                    }
                }
                props.set("server", list);
            }
            ("rbd", props)
        }
        DiskBackend::Iscsi(IscsiDisk {
            portal,
            target,
            lun,
            user,
            password_secret,
            initiator,
            header_digest,
            timeout_s,
        }) => {
            let mut props = Props::new()
                .with("transport", "tcp")
                .with("portal", portal)
                .with("target", target)
                .with("lun", *lun)
                .with_some("initiator-name", initiator.as_ref())
                .with_some("user", user.as_ref());
            if user.is_some() != password_secret.is_some() {
                builder.conflict(at, "CHAP requires both `user` and `password_secret`");
            }
            if let Some(secret) = password_secret {
                builder.secret(at.field("password_secret"), secret);
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
        DiskBackend::Ssh(SshDisk { host, port, path, user, host_key }) => {
            let check = match host_key {
                SshHostKey::KnownHosts => Props::new().with("mode", "known_hosts"),
                SshHostKey::None => Props::new().with("mode", "none"),
                SshHostKey::Sha256(Sha256HostKey { hash }) => {
                    if hash.len() != 64 || !hash.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                        let at = at.field("host_key");
                        builder.invalid(
                            at.field("hash"),
                            hash,
                            "is not a valid SHA-256 fingerprint; expected 64 hexadecimal digits",
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
        DiskBackend::Http(HttpDisk {
            url,
            user,
            password_secret,
            cookie_secret,
            verify,
            readahead,
            timeout_s,
        }) => {
            let secure = url.starts_with("https://");
            if !secure && !url.starts_with("http://") {
                builder.invalid(at.field("url"), url, "is not an http:// or https:// URL");
            }
            let authority = url.split("//").nth(1).unwrap_or_default().split(['/', '?', '#']).next();
            if authority.is_some_and(|authority| authority.contains('@')) {
                // The address stands in QEMU's arguments, which everybody on the host can read.
                builder.conflict(
                    at.field("url"),
                    "a password in a URL is visible to other users; use `user` and `password_secret`",
                );
            }
            if !opening.read_only {
                builder.conflict(at, "a file on a web server is read-only; set `read_only = true`");
            }
            let mut props = Props::new().with("url", url).with_some("username", user.as_ref());
            for (field, key, secret) in [
                ("password_secret", "password-secret", password_secret),
                ("cookie_secret", "cookie-secret", cookie_secret),
            ] {
                if let Some(secret) = secret {
                    builder.secret(at.field(field), secret);
                    props.set(key, secret);
                }
            }
            if verify.is_some() && !secure {
                builder.conflict(at.field("verify"), "`verify` is only supported for https");
            }
            let props = props
                .with_some("sslverify", *verify)
                .with_some("readahead", readahead.map(Size::to_bytes))
                .with_some("timeout", *timeout_s);
            (if secure { "https" } else { "http" }, props)
        }
        DiskBackend::Nvme(NvmeDisk { device, namespace }) => {
            // QEMU makes a path of it.
            if !device.bytes().all(|byte| byte.is_ascii_hexdigit() || b":.".contains(&byte))
                || device.is_empty()
            {
                builder.invalid(
                    at.field("device"),
                    device,
                    "is not a valid PCI address of the host; expected for example 0000:01:00.0",
                );
            }
            ("nvme", Props::new().with("device", device).with("namespace", *namespace))
        }
        DiskBackend::Null(NullDisk { size }) => {
            ("null-co", Props::new().with("size", size.to_bytes()).with("read-zeroes", true))
        }
    };
    (driver, props.with("read-only", opening.read_only).with("auto-read-only", !opening.read_only))
}

fn local(builder: &mut Builder<'_>, at: At<'_>, path: &Path, opening: Opening) -> Props {
    let path = builder.path(at.field("path"), path);
    let aio = opening.aio.map(|aio| match aio {
        DiskAio::Threads => "threads",
        DiskAio::Native => "native",
        DiskAio::IoUring => "io_uring",
    });
    Props::new().with("filename", path).with_some("aio", aio)
}
