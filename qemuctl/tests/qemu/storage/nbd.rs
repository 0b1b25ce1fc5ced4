//! Network block devices, served by `qemu-nbd`.

use std::net::TcpStream;
use std::os::unix::net::UnixStream;
use std::path::Path;

use qemuctl::{
    config::{Disk, DiskBackend, NbdDisk, SocketAddress, Tls, TlsEndpoint, TlsKind},
    error::Cause,
};

use super::{Backend, SIZE, certificates, head};
use crate::servers::{Server, blank, isolated, scratch};
use crate::support::qemu;

/// Where it listens in the test's own namespace.
const PORT: u16 = 10809;

/// Serves an image over TCP or, with a socket's path, over that.
async fn serve(dir: &Path, image: &Path, socket: Option<&Path>, options: &[&str]) -> Server {
    blank(image, SIZE);
    let mut server = Server::start(dir, qemu("10.0", "qemu-nbd"), |command| {
        match socket {
            Some(socket) => command.arg("--socket").arg(socket),
            None => command.args(["--bind", "127.0.0.1", "--port", &PORT.to_string()]),
        };
        command.args(["--persistent", "--shared=0", "--format=raw", "--export-name=the disk"]);
        command.args(options).arg(image);
    });
    server
        .ready(|| match socket {
            Some(socket) => UnixStream::connect(socket).is_ok().then_some(()),
            None => TcpStream::connect(("127.0.0.1", PORT)).is_ok().then_some(()),
        })
        .await;
    server
}

fn disk(server: SocketAddress, tls: Option<&str>) -> Disk {
    Disk::new(DiskBackend::Nbd(NbdDisk {
        server,
        export: Some("the disk".into()),
        tls: tls.map(Into::into),
        tls_hostname: None,
        reconnect_s: Some(5),
    }))
}

fn inet(host: &str) -> SocketAddress {
    SocketAddress::inet(host, PORT)
}

pub(super) async fn over_unix(dir: &Path) -> Backend {
    let (image, socket) = (dir.join("nbd-unix.raw"), dir.join("nbd, 1.sock"));
    let server = serve(dir, &image, Some(&socket), &[]).await;
    Backend::new(disk(SocketAddress::unix(socket), None), vec![server], move |count| head(&image, count))
}

async fn over_tcp(dir: &Path) -> Backend {
    let image = dir.join("nbd-tcp.raw");
    let server = serve(dir, &image, None, &[]).await;
    Backend::new(disk(inet("127.0.0.1"), None), vec![server], move |count| head(&image, count))
}

/// Over TLS, with a client that trusts the authority in `trusted`.
pub(super) async fn over_tls(dir: &Path, trusted: &str) -> Backend {
    for name in ["pki", "strangers"] {
        certificates::issue(&dir.join(name));
    }
    let image = dir.join("nbd-tls.raw");
    let credentials = format!("tls-creds-x509,id=tls,endpoint=server,dir={}", dir.join("pki").display());
    let server = serve(dir, &image, None, &["--object", &credentials, "--tls-creds=tls"]).await;
    let tls = Tls {
        id: "client".into(),
        dir: dir.join(trusted),
        endpoint: TlsEndpoint::Client,
        kind: TlsKind::X509,
        verify_peer: None,
        password_secret: None,
        username: None,
        priority: None,
    };
    let disk = disk(inet("localhost"), Some("client"));
    let backend = Backend::new(disk, vec![server], move |count| head(&image, count));
    Backend { tls: vec![tls], ..backend }
}

#[test]
fn a_disk_over_a_unix_socket() {
    isolated(a_disk_over_a_unix_socket, async {
        let dir = scratch();
        let backend = over_unix(dir.path()).await;
        backend.holds_what_is_written(dir.path()).await;
    });
}

#[test]
fn a_disk_over_tcp() {
    isolated(a_disk_over_tcp, async {
        let dir = scratch();
        let backend = over_tcp(dir.path()).await;
        backend.holds_what_is_written(dir.path()).await;
    });
}

#[test]
fn a_disk_over_tls() {
    isolated(a_disk_over_tls, async {
        let dir = scratch();
        let backend = over_tls(dir.path(), "pki").await;
        backend.holds_what_is_written(dir.path()).await;
    });
}

#[test]
fn a_server_of_another_authority_is_refused() {
    isolated(a_server_of_another_authority_is_refused, async {
        let dir = scratch();
        let backend = over_tls(dir.path(), "strangers").await;
        backend.is_refused(dir.path(), Cause::Untrusted).await;
    });
}

#[test]
fn a_server_that_is_not_there_or_wants_tls_is_a_failed_connection() {
    isolated(a_server_that_is_not_there_or_wants_tls_is_a_failed_connection, async {
        let dir = scratch();
        let plain = Backend { tls: Vec::new(), ..over_tls(dir.path(), "pki").await };
        let plain = Backend { disk: disk(inet("127.0.0.1"), None), ..plain };
        plain.is_refused(dir.path(), Cause::ConnectionFailed).await;
        let absent = Backend::new(plain.disk.clone(), Vec::new(), |_| Vec::new());
        drop(plain);
        absent.is_refused(dir.path(), Cause::ConnectionFailed).await;
    });
}
