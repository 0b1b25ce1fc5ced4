//! Firmware by a distribution's own descriptors, and guests that see it.

use std::ffi::OsString;
use std::fs;
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::{Duration, Instant};

use qemuctl::Arch;
use qemuctl::qemu_discovery::firmware::{self, Firmware, VarsFormat, Wanted, create_vars};
use qemuctl::qemu_discovery::{Places, probe_in};

use crate::support::{VERSIONS, guest_file, qemu};

/// The file tree of a release: its descriptors name files as they are named inside.
fn tree(version: &str) -> PathBuf {
    let program = qemu(version, "qemu-img");
    let prefix = program.parent().and_then(Path::parent).expect("a prefix");
    prefix.canonicalize().expect("it is there")
}

fn found(version: &str, wanted: &Wanted) -> Result<Firmware, String> {
    let tree = tree(version);
    firmware::find_in(&Places::below(&tree), wanted).map_err(|error| error.to_string())
}

#[test]
fn debians_descriptors_lead_to_ovmf_and_aavmf() {
    let mut told = Vec::new();
    for version in VERSIONS {
        let root = tree(version).display().to_string();
        let q35 = || Wanted::uefi(Arch::X86_64, format!("pc-q35-{version}"));
        let virt = || Wanted::uefi(Arch::Aarch64, format!("virt-{version}"));
        let wishes = [
            ("q35", q35()),
            ("q35 secure", q35().secure()),
            ("q35 secure, own keys", Wanted { secure_boot: true, ..q35() }),
            ("i440fx", Wanted::uefi(Arch::X86_64, format!("pc-i440fx-{version}"))),
            ("i440fx secure", Wanted::uefi(Arch::X86_64, format!("pc-i440fx-{version}")).secure()),
            ("virt", virt()),
            ("virt secure", virt().secure()),
            ("virt secure, own keys", Wanted { secure_boot: true, ..virt() }),
        ];
        told.push(format!("{version}:"));
        for (name, wanted) in wishes {
            let line = match found(version, &wanted) {
                Ok(firmware) => format!(
                    "{} + {}{}",
                    firmware.code.path.display(),
                    firmware.vars_template.expect("a template").path.display(),
                    if firmware.requires_smm { " with SMM" } else { "" }
                ),
                Err(error) => error.split(" (looked in").next().expect("words").to_owned(),
            };
            told.push(format!("  {name}: {}", line.replace(&root, "")));
        }
    }
    insta::assert_snapshot!(told.join("\n"), @r"
    7.2:
      q35: /usr/share/OVMF/OVMF_CODE_4M.fd + /usr/share/OVMF/OVMF_VARS_4M.fd
      q35 secure: /usr/share/OVMF/OVMF_CODE_4M.ms.fd + /usr/share/OVMF/OVMF_VARS_4M.ms.fd with SMM
      q35 secure, own keys: /usr/share/OVMF/OVMF_CODE_4M.secboot.fd + /usr/share/OVMF/OVMF_VARS_4M.fd with SMM
      i440fx: /usr/share/OVMF/OVMF_CODE_4M.fd + /usr/share/OVMF/OVMF_VARS_4M.fd
      i440fx secure: no firmware for x86_64 pc-i440fx-7.2 (uefi, secure boot, enrolled keys): the installed ones are for other machine types or lack a feature
      virt: /usr/share/AAVMF/AAVMF_CODE.fd + /usr/share/AAVMF/AAVMF_VARS.fd
      virt secure: /usr/share/AAVMF/AAVMF_CODE.ms.fd + /usr/share/AAVMF/AAVMF_VARS.ms.fd
      virt secure, own keys: no firmware for aarch64 virt-7.2 (uefi, secure boot): firmware /usr/share/qemu/firmware/50-edk2-aarch64-secure.json: its file /usr/share/AAVMF/AAVMF_CODE.secboot.fd cannot be opened: No such file or directory (os error 2)
    10.0:
      q35: /usr/share/OVMF/OVMF_CODE_4M.fd + /usr/share/OVMF/OVMF_VARS_4M.fd
      q35 secure: /usr/share/OVMF/OVMF_CODE_4M.ms.fd + /usr/share/OVMF/OVMF_VARS_4M.ms.fd with SMM
      q35 secure, own keys: /usr/share/OVMF/OVMF_CODE_4M.secboot.fd + /usr/share/OVMF/OVMF_VARS_4M.fd with SMM
      i440fx: /usr/share/OVMF/OVMF_CODE_4M.fd + /usr/share/OVMF/OVMF_VARS_4M.fd
      i440fx secure: no firmware for x86_64 pc-i440fx-10.0 (uefi, secure boot, enrolled keys): the installed ones are for other machine types or lack a feature
      virt: /usr/share/AAVMF/AAVMF_CODE.no-secboot.fd + /usr/share/AAVMF/AAVMF_VARS.fd
      virt secure: /usr/share/AAVMF/AAVMF_CODE.ms.fd + /usr/share/AAVMF/AAVMF_VARS.ms.fd
      virt secure, own keys: /usr/share/AAVMF/AAVMF_CODE.secboot.fd + /usr/share/AAVMF/AAVMF_VARS.fd
    11.1:
      q35: /usr/share/OVMF/OVMF_CODE_4M.fd + /usr/share/OVMF/OVMF_VARS_4M.fd
      q35 secure: /usr/share/OVMF/OVMF_CODE_4M.ms.fd + /usr/share/OVMF/OVMF_VARS_4M.ms.fd with SMM
      q35 secure, own keys: /usr/share/OVMF/OVMF_CODE_4M.secboot.fd + /usr/share/OVMF/OVMF_VARS_4M.fd with SMM
      i440fx: /usr/share/OVMF/OVMF_CODE_4M.fd + /usr/share/OVMF/OVMF_VARS_4M.fd
      i440fx secure: no firmware for x86_64 pc-i440fx-11.1 (uefi, secure boot, enrolled keys): the installed ones are for other machine types or lack a feature
      virt: /usr/share/AAVMF/AAVMF_CODE.no-secboot.fd + /usr/share/AAVMF/AAVMF_VARS.fd
      virt secure: /usr/share/AAVMF/AAVMF_CODE.ms.fd + /usr/share/AAVMF/AAVMF_VARS.ms.fd
      virt secure, own keys: /usr/share/AAVMF/AAVMF_CODE.secboot.fd + /usr/share/AAVMF/AAVMF_VARS.fd
    ");
}

#[tokio::test]
async fn variables_are_copied_in_either_format() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let firmware =
            found(version, &Wanted::uefi(Arch::X86_64, format!("pc-q35-{version}"))).expect("OVMF");
        let template = firmware.vars_template.expect("a template");
        let tool = qemu(version, "qemu-img");
        let raw =
            create_vars(&template, &dir.path().join("raw"), VarsFormat::Raw, None).await.expect("copied");
        let qcow2 = create_vars(&template, &dir.path().join("qcow2"), VarsFormat::Qcow2, Some(&tool))
            .await
            .expect("made");
        assert_eq!((raw.format.as_str(), qcow2.format.as_str()), ("raw", "qcow2"));
        assert_eq!(fs::read(&raw.path).expect("read"), fs::read(&template.path).expect("read"));
        let compared = Command::new(&tool)
            .args(["compare", "-f", "raw", "-F", "qcow2"])
            .args([&template.path, &qcow2.path])
            .output()
            .expect("qemu-img starts");
        assert!(compared.status.success(), "{}", String::from_utf8_lossy(&compared.stdout));
    }
}

/// A QEMU with the small Linux guest, talked to by its serial console.
struct Machine {
    child: Child,
    console: mpsc::Receiver<Vec<u8>>,
    text: String,
}

impl Machine {
    async fn boot(version: &str, arch: Arch, wanted: &Wanted, dir: &Path) -> Self {
        let firmware = found(version, wanted).expect("firmware");
        let template = firmware.vars_template.as_ref().expect("a template");
        let vars =
            create_vars(template, &dir.join("vars"), VarsFormat::Template, None).await.expect("copied");
        let board = if firmware.requires_smm { "q35,smm=on" } else { arch.default_machine() };
        let node = |name: &str, path: &Path, read_only: bool| {
            let json = serde_json::json!({
                "driver": "file", "node-name": name, "filename": path.to_str().expect("text"), "read-only": read_only,
            });
            ["-blockdev".to_owned(), json.to_string()]
        };
        let mut arguments: Vec<OsString> =
            ["-machine", &format!("{board},pflash0=code,pflash1=vars")].map(Into::into).into();
        if firmware.requires_smm {
            arguments.extend(["-global", "driver=cfi.pflash01,property=secure,value=on"].map(Into::into));
        }
        arguments.extend(node("code", &firmware.code.path, true).map(Into::into));
        arguments.extend(node("vars", &vars.path, false).map(Into::into));
        let console = if arch == Arch::Aarch64 { "ttyAMA0" } else { "ttyS0" };
        let mut child = Command::new(qemu(version, &format!("qemu-system-{}", arch.qemu_name())))
            .args(arguments)
            .args([
                "-accel",
                "tcg",
                "-cpu",
                "max",
                "-m",
                "512",
                "-nodefaults",
                "-display",
                "none",
                "-no-reboot",
            ])
            .arg("-kernel")
            .arg(guest_file(arch.qemu_name(), "vmlinuz"))
            .arg("-initrd")
            .arg(guest_file(arch.qemu_name(), "initramfs"))
            .args(["-append", &format!("console={console} panic=-1"), "-serial", "stdio"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("QEMU starts");
        let mut output = child.stdout.take().expect("piped");
        let (send, console) = mpsc::channel();
        std::thread::spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(count @ 1..) = output.read(&mut piece) {
                if send.send(piece[..count].to_vec()).is_err() {
                    break;
                }
            }
        });
        Self { child, console, text: String::new() }
    }

    /// Reads on until one of these is on the console, and says which.
    fn expect<'a>(&mut self, wanted: &[&'a str]) -> &'a str {
        let deadline = Instant::now() + Duration::from_secs(240);
        loop {
            if let Some(found) = wanted.iter().find(|wanted| self.text.contains(**wanted)) {
                return found;
            }
            let left = deadline.saturating_duration_since(Instant::now());
            match self.console.recv_timeout(left) {
                Ok(piece) => self.text.push_str(&String::from_utf8_lossy(&piece)),
                Err(error) => panic!("no {wanted:?} on the console ({error}):\n{}", self.text),
            }
        }
    }

    /// The first line that the guest's shell answers a command with.
    fn ask(&mut self, command: &str) -> String {
        self.text.clear();
        // The marks are put together by the shell, so the echoed command does not hold them.
        let line = format!("echo \"be\"\"gin $({command}) e\"\"nd\"\n");
        self.child.stdin.as_mut().expect("piped").write_all(line.as_bytes()).expect("written");
        self.expect(&[" end"]);
        let (_, rest) = self.text.split_once("begin ").expect("the answer");
        rest.split_once(" end").expect("its end").0.to_owned()
    }
}

impl Drop for Machine {
    fn drop(&mut self) {
        drop(self.child.kill());
        drop(self.child.wait());
    }
}

#[tokio::test]
async fn a_guest_sees_uefi_and_secure_boot() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let wanted = Wanted::uefi(Arch::X86_64, format!("pc-q35-{version}")).secure();
        let mut machine = Machine::boot(version, Arch::X86_64, &wanted, dir.path()).await;
        // The guest's kernel comes without the signed loader that the keys are for. Older firmware tells the kernel that
        // secure boot is on and starts it all the same, newer refuses it.
        let outcome =
            machine.expect(&["guest ready", "loader is disabled", "Access Denied", "Security Violation"]);
        if outcome == "guest ready" {
            assert!(machine.text.contains("Secure boot enabled"), "{}", machine.text);
            assert_eq!(machine.ask("ls -d /sys/firmware/efi"), "/sys/firmware/efi");
        } else {
            assert_eq!(version, "11.1", "{}", machine.text);
        }
    }
}

#[tokio::test]
async fn a_guest_sees_uefi_with_secure_firmware_that_has_no_keys() {
    let dir = tempfile::tempdir().expect("a directory");
    let wanted = Wanted { secure_boot: true, ..Wanted::uefi(Arch::X86_64, "pc-q35-11.1") };
    let mut machine = Machine::boot("11.1", Arch::X86_64, &wanted, dir.path()).await;
    machine.expect(&["guest ready"]);
    assert!(machine.text.contains("Secure boot disabled"), "{}", machine.text);
    assert_eq!(machine.ask("ls -d /sys/firmware/efi"), "/sys/firmware/efi");
}

#[tokio::test]
async fn an_arm_guest_sees_uefi() {
    let dir = tempfile::tempdir().expect("a directory");
    let probe = probe_in(&Places::host(), &qemu("10.0", "qemu-system-aarch64")).await.expect("it answers");
    let machine = probe.machine("virt").expect("the board").name.clone();
    let mut machine =
        Machine::boot("10.0", Arch::Aarch64, &Wanted::uefi(Arch::Aarch64, machine), dir.path()).await;
    machine.expect(&["guest ready"]);
    assert_eq!(machine.ask("ls -d /sys/firmware/efi"), "/sys/firmware/efi");
}
