//! Files on a web server, which QEMU reads in ranges; `socat` puts TLS in front of it.

use std::io::{self, BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use qemuctl::{
    config::{Backing, BackingImage, BlockFormat, Disk, DiskBackend, HttpDisk, Secret, Size},
    error::Cause,
};

use super::{Backend, certificates, create, head};
use crate::servers::{GENEROUS, Server, isolated, program, scratch};

const SECURE_PORT: u16 = 8443;

/// The user and password `reader:open`, as a browser sends them.
const CREDENTIALS: &str = "authorization: basic cmvhzgvyom9wzw4=";

/// What the image on the server is full of.
const PATTERN: u8 = 0xa5;

/// Serves an image to who has the credentials, by threads that end with the test's process.
fn serve(image: Vec<u8>) -> u16 {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port");
    let port = listener.local_addr().expect("its address").port();
    let image = Arc::new(image);
    std::thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let image = image.clone();
            // A client that leaves in the middle is no fault of the server.
            std::thread::spawn(move || drop(converse(client, &image)));
        }
    });
    port
}

fn converse(mut client: TcpStream, image: &[u8]) -> io::Result<()> {
    let mut lines = BufReader::new(client.try_clone()?).lines();
    loop {
        let mut request = Vec::new();
        for line in &mut lines {
            let line = line?.to_ascii_lowercase();
            if line.is_empty() {
                break;
            }
            request.push(line);
        }
        let Some(first) = request.first() else { return Ok(()) };
        let bounds = request.iter().find_map(|line| line.strip_prefix("range: bytes=")?.split_once('-'));
        if !request.iter().any(|line| line == CREDENTIALS) {
            client.write_all(b"HTTP/1.1 401 Unauthorized\r\nContent-Length: 0\r\n\r\n")?;
        } else if first.starts_with("head ") {
            let size = image.len();
            write!(client, "HTTP/1.1 200 OK\r\nAccept-Ranges: bytes\r\nContent-Length: {size}\r\n\r\n")?;
        } else {
            let (from, to) = bounds.expect("QEMU asks for ranges");
            let (from, to): (usize, usize) = (from.parse().expect("a number"), to.parse().expect("a number"));
            let part = image.get(from..=to).expect("within the image");
            until_qemu_waits();
            let size = image.len();
            write!(client, "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{to}/{size}\r\n")?;
            write!(client, "Content-Length: {}\r\n\r\n", part.len())?;
            client.write_all(part)?;
        }
    }
}

/// Returns when the QEMU of this test sleeps, waiting for what it has asked for.
///
/// On a loaded machine QEMU 10.0 and 11.1 were seen to have taken in the whole reply and to wait for it for ever, without
/// a look at the connection. That was not seen when the reply came after QEMU had begun to wait.
fn until_qemu_waits() {
    let deadline = Instant::now() + GENEROUS;
    while qemu_is_busy() {
        assert!(Instant::now() < deadline, "QEMU waits within {GENEROUS:?}");
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Whether the first thread of a QEMU of this process, the one that reads, does anything but sleep.
fn qemu_is_busy() -> bool {
    let own = std::process::id().to_string();
    let processes = std::fs::read_dir("/proc").expect("there").flatten();
    let facts = processes.filter_map(|process| std::fs::read_to_string(process.path().join("stat")).ok());
    facts.filter(|facts| facts.contains("(qemu-system")).any(|facts| {
        // Behind the name: state, parent.
        let mut words = facts.rsplit(") ").next().into_iter().flat_map(str::split_ascii_whitespace);
        let (state, parent) = (words.next(), words.next());
        parent == Some(&own) && state != Some("S")
    })
}

fn image(url: String, verify: Option<bool>) -> DiskBackend {
    DiskBackend::Http(HttpDisk {
        url,
        user: Some("reader".into()),
        password_secret: Some("password".into()),
        cookie_secret: None,
        verify,
        readahead: Some(Size::kib(64)),
        timeout_s: Some(30),
    })
}

/// An overlay, so that there is something to write to, on an image on the server.
fn overlay(dir: &Path, below: DiskBackend, servers: Vec<Server>) -> Backend {
    let path = dir.join("overlay.qcow2");
    create(&path, "qcow2", &[]);
    let below = BackingImage {
        backend: below,
        format: Some(BlockFormat::Raw),
        key_secret: None,
        backing: Backing::None,
    };
    let disk = Disk { backing: Backing::Image(Box::new(below)), ..Disk::file(&path) };
    let backend = Backend::new(disk, servers, move |count| head(&path, count));
    Backend { secrets: vec![Secret::new("password", "open")], ..backend }
}

pub(super) fn over_http(dir: &Path) -> Backend {
    let port = serve(vec![PATTERN; 4 << 20]);
    overlay(dir, image(format!("http://127.0.0.1:{port}/the%20image.raw"), None), Vec::new())
}

async fn over_https(dir: &Path, verify: Option<bool>) -> Backend {
    let port = serve(vec![PATTERN; 4 << 20]);
    certificates::issue(&dir.join("pki"));
    let mut server = Server::start(dir, program("socat1"), |command| {
        let listen = format!(
            "OPENSSL-LISTEN:{SECURE_PORT},bind=127.0.0.1,fork,reuseaddr,verify=0,certificate=pki/server-cert.pem,key=pki/server-key.pem"
        );
        command.arg(listen).arg(format!("TCP:127.0.0.1:{port}"));
    });
    server.ready(|| TcpStream::connect(("127.0.0.1", SECURE_PORT)).is_ok().then_some(())).await;
    overlay(dir, image(format!("https://localhost:{SECURE_PORT}/image.raw"), verify), vec![server])
}

#[test]
fn a_disk_over_http() {
    isolated(a_disk_over_http, async {
        let dir = scratch();
        let backend = over_http(dir.path());
        backend.gives(dir.path(), PATTERN).await;
        let wrong = Backend { secrets: vec![Secret::new("password", "shut")], ..backend };
        wrong.is_refused(dir.path(), Cause::NotAuthenticated).await;
    });
}

#[test]
fn a_disk_over_https() {
    isolated(a_disk_over_https, async {
        let dir = scratch();
        let unverified = over_https(dir.path(), Some(false)).await;
        unverified.gives(dir.path(), PATTERN).await;
        drop(unverified);
        // The test's own authority is unknown to the system.
        let verified = over_https(dir.path(), None).await;
        verified.is_refused(dir.path(), Cause::Untrusted).await;
    });
}
