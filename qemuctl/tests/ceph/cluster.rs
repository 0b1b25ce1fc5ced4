//! A Ceph of one node: a monitor, and one storage daemon on a file.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::backend::SIZE;
use crate::servers::{Server, blank, run};
use crate::support::dir_from;

/// Where the monitor listens, in the test's own network namespace.
pub const MONITOR: &str = "127.0.0.1:3300";

pub const POOL: &str = "vms";
pub const NAMESPACE: &str = "tests";

/// Whom the disks are opened as; `client.` goes before it.
pub const USER: &str = "guest";

/// How large the file is that holds everything, in bytes; it has holes.
const STORE: u64 = 1 << 30;

/// How long a command waits for a daemon, in seconds.
const PATIENCE_S: &str = "60";

/// The daemons, and what it takes to give orders to them.
pub struct Cluster {
    /// They end with the value.
    pub servers: Vec<Server>,
    pub admin: Admin,
}

/// Who may do everything.
pub struct Admin {
    dir: PathBuf,
}

impl Cluster {
    /// Makes a cluster in `dir`, with a pool, and waits until that takes objects.
    pub fn start(dir: &Path) -> Self {
        let admin = Admin { dir: dir.to_owned() };
        let fsid = uuid();
        fs::write(admin.conf(), conf(dir, &fsid)).expect("the configuration");
        fs::write(dir.join("client.conf"), format!("[global]\nfsid = {fsid}\nmon host = v2:{MONITOR}\n"))
            .expect("the configuration");
        admin.make_keys();
        let address = format!("[v2:{MONITOR}]");
        let monmap = dir.join("monmap");
        run(program("monmaptool").args(["--create", "--addv", "a", &address, "--fsid", &fsid]).arg(&monmap));
        let mut make = admin.program("ceph-mon");
        run(make.args(["--mkfs", "-i", "a", "--keyring"]).arg(admin.keyring()).arg("--monmap").arg(&monmap));
        let monitor = Server::start(dir, program_path("ceph-mon"), |command| {
            command.arg("-c").arg(admin.conf()).args(["-f", "-i", "a"]);
        });
        let uuid = uuid();
        fs::create_dir(dir.join("osd")).expect("a directory");
        run(admin.ceph().args(["osd", "new", &uuid, "0"]));
        run(admin.program("ceph-osd").args(["--mkfs", "--no-mon-config", "-i", "0", "--osd-uuid", &uuid]));
        let storage = Server::start(dir, program_path("ceph-osd"), |command| {
            command.arg("-c").arg(admin.conf()).args(["-f", "-i", "0"]);
        });
        run(admin.ceph().args(["osd", "pool", "create", POOL, "1"]));
        run(admin.program("rbd").args(["pool", "init", POOL]));
        run(admin.program("rbd").args(["namespace", "create", &format!("{POOL}/{NAMESPACE}")]));
        Self { servers: vec![monitor, storage], admin }
    }

    /// What a client is told of the cluster: where it is, and no key.
    pub fn client_conf(&self) -> PathBuf {
        self.admin.dir.join("client.conf")
    }
}

impl Admin {
    /// Makes an empty image.
    pub fn create(&self, image: &str) {
        run(self.program("rbd").args(["create", "--size", &format!("{SIZE}B"), &path(image)]));
    }

    /// Makes an image that holds `pattern` in the 64 KiB from 1 MiB on.
    pub fn import(&self, image: &str, pattern: u8) {
        let file = self.dir.join("import");
        blank(&file, SIZE);
        let mut bytes = fs::read(&file).expect("the file");
        bytes[1 << 20..][..64 << 10].fill(pattern);
        fs::write(&file, bytes).expect("the file");
        run(self.program("rbd").arg("import").arg(file).arg(path(image)));
    }

    pub fn snapshot(&self, image: &str, name: &str) {
        run(self.program("rbd").args(["snap", "create", &format!("{}@{name}", path(image))]));
    }

    /// Takes from the image what is beyond its first MiB. Its snapshots keep it.
    pub fn shrink(&self, image: &str) {
        run(self.program("rbd").args(["resize", "--size", "1M", "--allow-shrink", &path(image)]));
    }

    /// What an image holds.
    pub fn exported(&self, image: &str) -> Vec<u8> {
        let mut command = self.program("rbd");
        command.args(["export", "--no-progress", &path(image), "-"]);
        let output = command.output().expect("rbd runs");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
        output.stdout
    }

    /// The key of the disks' user.
    pub fn key(&self) -> String {
        let print = ["--print-key", "-n", &format!("client.{USER}")].map(str::to_owned);
        run(program("ceph-authtool").args(print).arg(self.keyring())).trim().to_owned()
    }

    fn make_keys(&self) {
        let user = format!("client.{USER}");
        for (name, mon, osd) in [
            ("mon.", "allow *", ""),
            ("client.admin", "allow *", "allow *"),
            ("osd.0", "allow profile osd", "allow *"),
            (&user, "profile rbd", "profile rbd"),
        ] {
            let mut command = program("ceph-authtool");
            command.arg(self.keyring()).args(["--create-keyring"].iter().filter(|_| name == "mon."));
            command.args(["--gen-key", "-n", name, "--cap", "mon", mon]);
            if !osd.is_empty() {
                command.args(["--cap", "osd", osd]);
            }
            run(&mut command);
        }
    }

    fn conf(&self) -> PathBuf {
        self.dir.join("ceph.conf")
    }

    fn keyring(&self) -> PathBuf {
        self.dir.join("keyring")
    }

    /// A program of Ceph's, told of this cluster alone.
    fn program(&self, name: &str) -> Command {
        let mut command = program(name);
        command.arg("-c").arg(self.conf());
        command.stdin(Stdio::null());
        command
    }

    /// The program that gives orders to the monitor. It is written in Python, and brings its own.
    fn ceph(&self) -> Command {
        let usr = prefix().join("usr");
        // By the linker of its tree: an interpreter that is bound to it by patchelf crashes.
        let linker = match std::env::consts::ARCH {
            "x86_64" => "ld-linux-x86-64.so.2",
            _ => "ld-linux-aarch64.so.1",
        };
        let search_path = format!("{0}:{0}/ceph", libraries().display());
        let mut command = Command::new(libraries().join(linker));
        command
            .args(["--library-path", &search_path])
            .args([usr.join("bin/python3"), usr.join("bin/ceph")])
            .env("PYTHONHOME", &usr)
            .env("PYTHONPATH", usr.join("lib/python3/dist-packages"))
            .env("PYTHONDONTWRITEBYTECODE", "1")
            .arg("-c")
            .arg(self.conf())
            .args(["--connect-timeout", PATIENCE_S]);
        command
    }
}

/// A key that is nobody's.
pub fn another_key() -> String {
    run(program("ceph-authtool").arg("--gen-print-key")).trim().to_owned()
}

fn path(image: &str) -> String {
    format!("{POOL}/{NAMESPACE}/{image}")
}

fn uuid() -> String {
    fs::read_to_string("/proc/sys/kernel/random/uuid").expect("the kernel makes them").trim().to_owned()
}

fn prefix() -> PathBuf {
    dir_from("QEMUCTL_CEPH_DIR", "ceph")
}

fn program(name: &str) -> Command {
    Command::new(program_path(name))
}

fn program_path(name: &str) -> PathBuf {
    let path = prefix().join("programs").join(name);
    assert!(path.exists(), "{} is missing: run `cargo xtask servers --ceph`", path.display());
    path
}

/// The folder of the libraries that Ceph loads when it needs them.
fn libraries() -> PathBuf {
    prefix().join(format!("usr/lib/{}-linux-gnu", std::env::consts::ARCH))
}

fn conf(dir: &Path, fsid: &str) -> String {
    let (dir, libraries) = (dir.display(), libraries());
    let libraries = libraries.display();
    format!(
        "[global]
fsid = {fsid}
mon host = v2:{MONITOR}
public addr = 127.0.0.1
auth cluster required = cephx
auth service required = cephx
auth client required = cephx
keyring = {dir}/keyring
run dir = {dir}
crash dir = {dir}
admin socket = {dir}/$name.asok
plugin dir = {libraries}/ceph
erasure code dir = {libraries}/ceph/erasure-code
osd class dir = {libraries}/rados-classes
log to file = false
log to stderr = true
mon cluster log to file = false
debug rocksdb = 0
osd pool default size = 1
osd pool default min size = 1
osd pool default pg num = 1
osd crush chooseleaf type = 0
[client]
client mount timeout = {PATIENCE_S}
rados mon op timeout = {PATIENCE_S}
rados osd op timeout = {PATIENCE_S}
[mon]
mon data = {dir}/mon
mon allow pool size one = true
[osd]
osd data = {dir}/osd
bluestore block size = {STORE}
"
    )
}
