//! Starts planned machines on a real QEMU, with everything that their files name.

use std::fmt::Write as _;
use std::fs;
use std::io::{BufRead, BufReader, Write as _};
use std::os::fd::OwnedFd;
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use qemu_argv::{Arch, Endpoints, FdRole, Plan, PlanError, Target, TlsKind, VmConfig, plan};
use serde_json::{Value, json};
use tempfile::TempDir;

use crate::storage::certificates::issue_locked;
use crate::support::qemu;

/// How long one step may take on a machine that does much else.
const DEADLINE: Duration = Duration::from_secs(120);

/// A machine of `qemu-argv/tests/machines`, by the name of its file.
pub fn machine_names() -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(machines_dir())
        .expect("the machines are there")
        .map(|entry| entry.expect("a directory entry").path())
        .filter(|path| path.extension().is_some_and(|ending| ending == "toml"))
        .map(|path| path.file_stem().expect("a file has a name").to_string_lossy().into_owned())
        .collect();
    names.sort();
    names
}

fn machines_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../qemu-argv/tests/machines")
}

/// The plan's target for one of the side-by-side QEMUs.
pub fn target(version: &str, arch: Arch) -> Target {
    Target::new(version.parse().expect("a version"), arch)
}

/// A directory in which a machine finds what it names.
pub struct World {
    pub dir: TempDir,
    version: &'static str,
}

impl World {
    pub fn new(version: &'static str) -> Self {
        let dir = tempfile::Builder::new().prefix("argv").tempdir().expect("a directory");
        Self { dir, version }
    }

    /// Reads a machine; `/vm` and `/fw` in it stand for directories of this world.
    pub fn machine(&self, name: &str) -> VmConfig {
        let text =
            fs::read_to_string(machines_dir().join(format!("{name}.toml"))).expect("the machine can be read");
        let root = self.dir.path().to_str().expect("the directory is UTF-8");
        let text = text.replace("/vm/", &format!("{root}/")).replace("/fw/", &format!("{root}/fw-"));
        toml::from_str(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
    }

    pub fn plan(&self, config: &VmConfig) -> Result<Plan, PlanError> {
        let target = target(self.version, config.arch.unwrap_or(Arch::X86_64));
        let endpoints = Endpoints {
            qmp_fd: Some(0),
            socket_dir: Some(self.dir.path().to_owned()),
            ..Endpoints::default()
        };
        plan(config, &target, &endpoints)
    }

    /// Makes the images, directories and files that a plan names.
    pub fn furnish(&self, config: &VmConfig, plan: &Plan) {
        let dir = self.dir.path();
        for node in plan.block_nodes().filter(|node| node.driver == "file") {
            let path = Path::new(node.props.get_str("filename").expect("a file has a name"));
            if path.starts_with("/dev/fd") {
                continue;
            }
            let upper = plan.block_nodes().find(|other| other.props.get_str("file") == Some(&node.node_name));
            let upper = upper.expect("each file is read by a format");
            let encrypted = match upper.props.get("encrypt") {
                Some(qemu_argv::Value::Map(encryption)) => encryption.get_str("key-secret"),
                _ => upper.props.get_str("key-secret"),
            };
            let key = encrypted.map(|id| self.secret(config, id));
            self.image(path, &upper.driver, key.as_deref());
        }
        for tls in config.tls.iter().filter(|tls| tls.kind == TlsKind::X509) {
            let password = tls.password_secret.as_deref().map(|id| secret(config, id));
            issue_locked(&tls.dir, password);
        }
        for name in ["tftp", "share, 1"] {
            fs::create_dir_all(dir.join(name)).expect("a directory");
        }
        for name in ["blob.bin", "vmlinuz", "initramfs"] {
            let from = crate::support::guest_file("x86_64", "vmlinuz");
            let into = dir.join(name);
            if !into.exists() {
                fs::copy(from, into).expect("a kernel");
            }
        }
        fs::write(dir.join("splash.bmp"), splash()).expect("a picture");
        fs::create_dir_all(dir.join("data")).expect("a directory");
        for name in ["module,1.bin", "module.bin", "program.bin"] {
            fs::write(dir.join(name), [0; 64]).expect("a file");
        }
        fs::write(dir.join("multiboot"), multiboot()).expect("a kernel with modules");
        for pipe in plan.chardevs().filter(|chardev| chardev.kind == "pipe") {
            let path = Path::new(pipe.props.get_str("path").expect("a pipe has a path"));
            if !path.exists() {
                mkfifo(path, Mode::from_bits_truncate(0o600)).expect("a pipe");
            }
        }
        if let Some(path) = &config.boot.dtb {
            let mut command = Command::new(qemu(self.version, "qemu-system-aarch64"));
            let machine = format!("virt,dumpdtb={}", path.display());
            let output = command.args(["-nodefaults", "-display", "none", "-M", &machine]).output();
            assert!(output.expect("QEMU runs").status.success(), "QEMU writes the tree of its board");
        }
        if let Some(certificates) = config.spice.as_ref().and_then(|spice| spice.x509_dir.as_ref()) {
            issue_locked(certificates, None);
        }
        fs::write(dir.join("oem.txt"), "third").expect("a string");
        // The smallest program for MIPS: a header and nothing to run.
        fs::write(dir.join("mips.elf"), mips_elf(config.arch)).expect("a kernel for MIPS");
        let bios = self.share("seabios/bios.bin");
        if bios.exists() {
            fs::copy(bios, dir.join("fw-bios.bin")).expect("a BIOS");
        }
    }

    fn share(&self, path: &str) -> PathBuf {
        let program = qemu(self.version, "qemu-system-x86_64");
        let prefix = program.parent().and_then(Path::parent).expect("a program is in PREFIX/bin");
        prefix.join("usr/share").join(path)
    }

    fn image(&self, path: &Path, format: &str, key: Option<&Path>) {
        if path.exists() {
            return;
        }
        let name = path.file_name().expect("a file").to_string_lossy().into_owned();
        let firmware = match name.as_str() {
            "vars.fd" => Some("OVMF/OVMF_VARS_4M.ms.fd".to_owned()),
            "vars64.fd" => Some("AAVMF/AAVMF_VARS.fd".to_owned()),
            _ => name.strip_prefix("fw-").map(|name| {
                let folder = if name.starts_with("AAVMF") { "AAVMF" } else { "OVMF" };
                format!("{folder}/{name}")
            }),
        };
        if let Some(file) = firmware {
            fs::copy(self.share(&file), path).expect("the firmware is there");
            return;
        }
        let mut command = Command::new(qemu("10.0", "qemu-img"));
        command.args(["create", "-q", "-f", format]);
        if let Some(key) = key {
            // As quick to unlock as may be.
            let options = match format {
                "qcow2" => "encrypt.format=luks,encrypt.key-secret=key,encrypt.iter-time=10",
                _ => "key-secret=key,iter-time=10",
            };
            command.args(["--object", &format!("secret,id=key,file={}", key.display()), "-o", options]);
        }
        // As large as the board has it.
        let size = match name.as_str() {
            "flash.raw" | "nor.raw" => "32M",
            "floppy.raw" | "floppy2.raw" => "1440k",
            _ => "4M",
        };
        let output = command.arg(path).arg(size).output().expect("qemu-img runs");
        assert!(output.status.success(), "qemu-img: {}", String::from_utf8_lossy(&output.stderr));
    }

    /// Starts the planned machine.
    pub fn start(&self, config: &VmConfig, plan: &Plan) -> Running {
        let (ours, theirs) = UnixStream::pair().expect("a pair of sockets");
        let line = plan.command_line();
        // A shell puts further descriptors where the plan wants them.
        let mut script = String::from("exec \"$0\" \"$@\"");
        for slot in &line.fds {
            let path = match &slot.role {
                FdRole::Qmp => continue,
                FdRole::Secret { id } => self.secret(config, id),
                FdRole::Overlay { disk } => {
                    let path = self.dir.path().join(format!("overlay-{disk}"));
                    self.image(&path, "qcow2", None);
                    path
                }
                other => panic!("no test gives {other:?}"),
            };
            write!(script, " {}<>'{}'", slot.fd, path.display()).expect("a String takes it");
        }
        let errors = self.dir.path().join("stderr");
        let child = Command::new("bash")
            // One whose input is a socket takes itself for a remote login, and reads its user's start-up file.
            .args(["--norc", "-c"])
            .arg(script)
            .arg(qemu(self.version, &format!("qemu-system-{}", plan.arch())))
            .args(line.args())
            .current_dir(self.dir.path())
            .stdin(Stdio::from(OwnedFd::from(theirs)))
            .stdout(Stdio::null())
            .stderr(fs::File::create(&errors).expect("a file for messages"))
            .spawn()
            .expect("QEMU can be started");
        ours.set_read_timeout(Some(DEADLINE)).expect("a deadline");
        let reader = BufReader::new(ours.try_clone().expect("a second handle"));
        Running { child, writer: ours, reader, errors, deleted: Vec::new() }
    }

    fn secret(&self, config: &VmConfig, id: &str) -> PathBuf {
        let path = self.dir.path().join(format!("secret-{id}"));
        fs::write(&path, secret(config, id)).expect("a secret's file");
        path
    }
}

fn secret<'c>(config: &'c VmConfig, id: &str) -> &'c str {
    let value = config.secrets.iter().find(|secret| secret.id == id).and_then(|secret| secret.value.as_ref());
    value.map_or("none", |value| value.expose())
}

/// The smallest kernel that takes modules: a header which says where it is loaded, and a processor that waits.
fn multiboot() -> Vec<u8> {
    const MAGIC: u32 = 0x1bad_b002;
    const HAS_ADDRESSES: u32 = 1 << 16;
    const AT: u32 = 0x10_0000;
    let sum = 0_u32.wrapping_sub(MAGIC).wrapping_sub(HAS_ADDRESSES);
    let header = [MAGIC, HAS_ADDRESSES, sum, AT, AT, AT + 64, AT + 64, AT + 32];
    let mut kernel: Vec<u8> = header.into_iter().flat_map(u32::to_le_bytes).collect();
    kernel.resize(64, 0xf4);
    kernel
}

/// The smallest picture that QEMU takes for one: what it looks at is the kind and the depth of colour.
fn splash() -> Vec<u8> {
    let mut picture = vec![0; 64];
    picture[..2].copy_from_slice(b"BM");
    picture[28] = 24;
    picture
}

/// An ELF header for the architecture, which is all that QEMU reads before it starts.
fn mips_elf(arch: Option<Arch>) -> Vec<u8> {
    let big = matches!(arch, Some(Arch::Mips | Arch::Mips64));
    let wide = matches!(arch, Some(Arch::Mips64 | Arch::Mips64el));
    let mut elf = vec![0x7f, b'E', b'L', b'F', if wide { 2 } else { 1 }, if big { 2 } else { 1 }, 1];
    elf.resize(16, 0);
    let mut half = |value: u16| elf.extend(if big { value.to_be_bytes() } else { value.to_le_bytes() });
    half(2);
    half(8);
    let word = |value: u32| if big { value.to_be_bytes() } else { value.to_le_bytes() };
    let long = |value: u32| -> Vec<u8> {
        let mut bytes = word(value).to_vec();
        if wide {
            let zero = [0; 4];
            bytes = if big { [&zero[..], &bytes].concat() } else { [&bytes[..], &zero].concat() };
        }
        bytes
    };
    elf.extend(word(1));
    let header = if wide { 64 } else { 52 };
    elf.extend(long(0x8010_0000));
    elf.extend(long(header));
    elf.extend(long(0));
    elf.extend(word(0));
    let mut half = |value: u16| elf.extend(if big { value.to_be_bytes() } else { value.to_le_bytes() });
    half(u16::try_from(header).expect("small"));
    half(if wide { 56 } else { 32 });
    half(1);
    half(0);
    half(0);
    half(0);
    // One segment of one instruction's length.
    let size = header + if wide { 56 } else { 32 };
    elf.extend(word(1));
    if wide {
        elf.extend(word(7));
    }
    for value in [0, 0x8010_0000, 0x8010_0000, size, size] {
        elf.extend(long(value));
    }
    if !wide {
        elf.extend(word(7));
    }
    elf.extend(long(0x1000));
    elf.resize(4096, 0);
    elf
}

/// A QEMU that was started; it ends with the test.
pub struct Running {
    pub child: Child,
    writer: UnixStream,
    reader: BufReader<UnixStream>,
    errors: PathBuf,
    /// The devices that QEMU has reported as deleted.
    deleted: Vec<String>,
}

impl Running {
    /// Whether the machine was made. Otherwise what QEMU said.
    pub fn ready(&mut self) -> Result<(), String> {
        let greeting = self.line();
        if greeting.is_none() || self.execute("qmp_capabilities", &json!({})).is_none() {
            let status = self.child.wait().expect("QEMU ended");
            return Err(format!("{status}: {}", self.messages()));
        }
        Ok(())
    }

    fn line(&mut self) -> Option<Value> {
        let mut line = String::new();
        // A reset is the end as well: QEMU died with something unread.
        match self.reader.read_line(&mut line) {
            Ok(0) => None,
            Ok(_) => Some(serde_json::from_str(&line).unwrap_or_else(|error| panic!("{error}: {line}"))),
            Err(error) if error.kind() == std::io::ErrorKind::ConnectionReset => None,
            Err(error) => panic!("QEMU says nothing: {error}: {}", self.messages()),
        }
    }

    /// The reply to a command, or `None` when QEMU is gone.
    pub fn execute(&mut self, command: &str, arguments: &Value) -> Option<Value> {
        let mut text = json!({ "execute": command, "arguments": arguments }).to_string();
        text.push('\n');
        self.writer.write_all(text.as_bytes()).ok()?;
        loop {
            let reply = self.line()?;
            if reply.get("event").is_none() {
                return Some(reply);
            }
            self.note(&reply);
        }
    }

    fn note(&mut self, event: &Value) {
        if event["event"] == "DEVICE_DELETED" {
            self.deleted.extend(event["data"]["device"].as_str().map(str::to_owned));
        }
    }

    /// Waits until QEMU has deleted a device.
    pub fn deleted(&mut self, id: &str) {
        while !self.deleted.iter().any(|deleted| deleted == id) {
            let event = self.line().expect("QEMU is there");
            self.note(&event);
        }
        self.deleted.retain(|deleted| deleted != id);
    }

    /// The value that a command returns.
    pub fn query(&mut self, command: &str, arguments: &Value) -> Value {
        let reply = self.execute(command, arguments).expect("QEMU is there");
        reply.get("return").unwrap_or_else(|| panic!("{command} {arguments}: {reply}")).clone()
    }

    /// What the human monitor prints.
    pub fn monitor(&mut self, line: &str) -> String {
        let text = self.query("human-monitor-command", &json!({ "command-line": line }));
        text.as_str().expect("text").replace('\r', "")
    }

    /// Ends QEMU and returns what it said on stderr.
    pub fn quit(mut self) -> (ExitStatus, String) {
        // QEMU may be gone before its reply is read.
        let _ = self.execute("quit", &json!({}));
        let status = self.child.wait().expect("QEMU ended");
        (status, self.messages())
    }

    pub fn messages(&self) -> String {
        fs::read_to_string(&self.errors).unwrap_or_default()
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        // It may have ended, and then there is nobody to kill.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
