//! Images are downloaded from a server that breaks off, changes its mind and lies.

use std::fmt::Write as _;
use std::io::{BufRead, BufReader, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;

use sha2::{Digest, Sha256};

use super::guest::{POWER_OFF, disk};
use super::program::{Answer, Place};
use crate::support::qemu;

/// What the server has, and what it was asked.
#[derive(Default)]
struct Site {
    files: Vec<(&'static str, Vec<u8>)>,
    /// After how many bytes the next connections are closed.
    breaks: Vec<usize>,
    /// The entity tag of all files.
    tag: String,
    /// Path and range of each request.
    asked: Vec<String>,
}

struct Server {
    address: String,
    site: Arc<Mutex<Site>>,
}

impl Server {
    fn start(files: Vec<(&'static str, Vec<u8>)>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
        let address = format!("http://{}", listener.local_addr().expect("bound"));
        let site = Arc::new(Mutex::new(Site { files, tag: "\"one\"".to_owned(), ..Site::default() }));
        let served = site.clone();
        thread::spawn(move || listener.incoming().flatten().for_each(|stream| drop(serve(&stream, &served))));
        Self { address, site }
    }

    fn change(&self, change: impl FnOnce(&mut Site)) {
        change(&mut self.site.lock().expect("no panic"));
    }

    fn asked(&self) -> Vec<String> {
        std::mem::take(&mut self.site.lock().expect("no panic").asked)
    }
}

fn serve(mut stream: &TcpStream, site: &Mutex<Site>) -> std::io::Result<()> {
    let mut lines = BufReader::new(stream).lines();
    let first = lines.next().unwrap_or_else(|| Ok(String::new()))?;
    let path = first.split(' ').nth(1).unwrap_or_default().to_owned();
    let (mut range, mut condition) = (0, None);
    for line in lines {
        let line = line?.to_ascii_lowercase();
        if let Some(from) = line.strip_prefix("range: bytes=") {
            range = from.trim_end_matches('-').parse().expect("a number");
        }
        if let Some(tag) = line.strip_prefix("if-range: ") {
            condition = Some(tag.to_owned());
        }
        if line.is_empty() {
            break;
        }
    }
    let (answer, body) = {
        let mut site = site.lock().expect("no panic");
        site.asked.push(format!("{path} from {range}"));
        let Some((_, data)) = site.files.iter().find(|(name, _)| path == format!("/{name}")) else {
            return stream
                .write_all(b"HTTP/1.1 404 Not Found\r\nContent-Length: 0\r\nConnection: close\r\n\r\n");
        };
        let from = if condition.is_none_or(|tag| tag == site.tag) { range } else { 0 };
        let body = data[from..].to_vec();
        let mut answer = if from > 0 {
            format!(
                "HTTP/1.1 206 Partial Content\r\nContent-Range: bytes {from}-{}/{}\r\n",
                data.len() - 1,
                data.len()
            )
        } else {
            "HTTP/1.1 200 OK\r\n".to_owned()
        };
        write!(answer, "ETag: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n", site.tag, body.len())
            .expect("written");
        let most = if site.breaks.is_empty() { body.len() } else { site.breaks.remove(0).min(body.len()) };
        (answer, body[..most].to_vec())
    };
    stream.write_all(answer.as_bytes())?;
    stream.write_all(&body)
}

fn sum(data: &[u8]) -> String {
    Sha256::digest(data).iter().fold(String::new(), |text, byte| format!("{text}{byte:02x}"))
}

fn place() -> Place {
    let place = Place::new();
    std::fs::create_dir_all(place.file("home")).expect("made");
    std::fs::set_permissions(place.file("home"), std::os::unix::fs::PermissionsExt::from_mode(0o700))
        .expect("private");
    place
}

/// The folder's files, without locks.
fn stored(place: &Place) -> Vec<String> {
    let entries = std::fs::read_dir(place.file("home/images")).expect("there").flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    let mut names: Vec<_> = names.filter(|name| name.strip_suffix(".lock").is_none()).collect();
    names.sort();
    names
}

fn failed(answer: &Answer, said: &str) {
    assert_eq!(answer.code, Some(1), "{answer:?}");
    assert!(answer.err.contains(said), "{answer:?}");
}

#[test]
fn a_download_goes_on_where_it_broke_off() {
    let place = place();
    let image = disk(POWER_OFF);
    let server = Server::start(vec![("guest.raw", image.clone())]);
    let url = format!("{}/guest.raw", server.address);
    // Within one command.
    server.change(|site| site.breaks = vec![300_000, 400_000]);
    let pulled = place.qemuctl(&["image", "pull", &url, "--checksum", &sum(&image)]);
    assert_eq!(pulled.err, "downloaded guest\n", "{pulled:?}");
    assert_eq!(server.asked(), ["/guest.raw from 0", "/guest.raw from 300000", "/guest.raw from 700000"]);
    let path = place.file(&format!("home/images/guest-{}.raw", &sum(&image)[..12]));
    assert!(std::fs::read(&path).expect("there") == image);
    assert_eq!(stored(&place), [path.file_name().expect("a name").to_str().expect("text"), "guest.json"]);
    let again = place.qemuctl(&["image", "pull", &url, "--checksum", &sum(&image)]);
    assert_eq!((again.err.as_str(), server.asked().len()), ("guest is up to date\n", 0));
}

#[test]
fn a_download_that_was_given_up_goes_on_with_the_next_command() {
    let place = place();
    let image = disk(POWER_OFF);
    let server = Server::start(vec![("guest.raw", image.clone())]);
    let url = format!("{}/guest.raw", server.address);
    server.change(|site| site.breaks = vec![500_000, 0, 0, 0]);
    failed(&place.qemuctl(&["image", "pull", &url]), "run the command again to go on where it broke off");
    assert_eq!(stored(&place), ["guest.etag", "guest.part"]);
    server.asked();
    let pulled = place.qemuctl(&["image", "pull", &url]);
    assert_eq!(pulled.err, "downloaded guest; its checksum was not checked\n", "{pulled:?}");
    assert_eq!(server.asked(), ["/guest.raw from 500000"]);

    // A file that has changed meanwhile is downloaded as a whole, and stored beside the old one.
    server.change(|site| site.breaks = vec![500_000, 0, 0, 0]);
    failed(&place.qemuctl(&["image", "pull", &url]), "go on");
    let other = disk(super::guest::OBEDIENT);
    server.change(|site| {
        site.files = vec![("guest.raw", other.clone())];
        site.tag = "\"two\"".to_owned();
    });
    let pulled = place.qemuctl(&["image", "pull", &url, "--checksum", &sum(&other)]);
    assert_eq!(pulled.code, Some(0), "{pulled:?}");
    assert_eq!(stored(&place).len(), 3, "{:?}", stored(&place));
}

#[test]
fn what_is_not_what_its_list_says_is_not_kept() {
    let place = place();
    let image = disk(POWER_OFF);
    let wrong = format!("{}  guest.raw\n", sum(b"another"));
    let server = Server::start(vec![
        ("guest.raw", image.clone()),
        ("SHA256SUMS", wrong.into_bytes()),
        ("EMPTY", Vec::new()),
    ]);
    let at = |name: &str| format!("{}/{name}", server.address);
    let pull =
        |checksums: &str| place.qemuctl(&["image", "pull", &at("guest.raw"), "--checksums", &at(checksums)]);
    failed(&pull("SHA256SUMS"), "is not what its publisher lists: the checksum differs");
    failed(&pull("EMPTY"), "has no SHA-256 or SHA-512 of guest.raw");
    failed(&pull("missing"), "404 Not Found");
    failed(&place.qemuctl(&["image", "pull", &at("gone.raw")]), "404 Not Found");
    failed(&place.qemuctl(&["image", "pull", "http://127.0.0.1:1/guest.raw"]), "cannot download");
    assert!(
        stored(&place).iter().all(|name| name == "gone.part" || name == "guest.part"),
        "{:?}",
        stored(&place)
    );
    let nowhere = place.qemuctl(&["image", "pull", "debian-31"]);
    assert_eq!(nowhere.code, Some(3), "{nowhere:?}");
    assert!(nowhere.err.contains("did you mean `debian-13`?"), "{nowhere:?}");
    for (args, said) in [
        (["ftp://example.org/guest.raw", "--format=raw"], "only http:// and https:// are supported"),
        (["http://example.org/guest.img", "--checksum=12"], "expected the 64 digits"),
    ] {
        let refused = place.qemuctl(&["image", "pull", args[0], args[1]]);
        assert!(refused.code == Some(2) && refused.err.contains(said), "{refused:?}");
    }
}

#[test]
fn machines_are_created_from_an_image_of_the_users_own_catalogue() {
    let place = place();
    let image = disk(POWER_OFF);
    let list = format!("{} *guest-amd64.raw\n", sum(&image));
    let server = Server::start(vec![("guest-amd64.raw", image), ("SUMS", list.into_bytes())]);
    let text = format!(
        "[small]\nurl = \"{0}/guest-{{arch}}.raw\"\nchecksums = \"{0}/SUMS\"\narch = {{ x86_64 = \"amd64\" }}\n",
        server.address
    );
    place.write("home/images.toml", text);
    let qemu = qemu("10.0", "qemu-system-x86_64").display().to_string();
    for name in ["one", "two"] {
        let args = [
            "create", name, "--image", "small", "--arch", "x86_64", "--qemu", &qemu, "-m", "64M", "--accel",
            "tcg",
        ];
        let created = place.qemuctl(&args);
        assert_eq!(created.code, Some(0), "{created:?}");
        let ran = place.qemuctl(&["run", name, "--no-console"]);
        assert_eq!(ran.code, Some(0), "{ran:?}");
    }
    assert_eq!(server.asked(), ["/SUMS from 0", "/guest-amd64.raw from 0"]);
    let listed = place.qemuctl(&["image", "pull", "--list"]).out;
    assert!(listed.contains("small") && listed.contains("debian-13"), "{listed}");
    let refused = place.qemuctl(&["image", "pull", "small", "--arch", "aarch64"]);
    assert!(refused.err.contains("it exists for: x86_64"), "{refused:?}");
}
