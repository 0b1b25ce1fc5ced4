//! Firmware by a distribution's own descriptors, and guests that see it.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Duration;

use qemuctl::qemu_discovery::Places;
use qemuctl::qemu_discovery::firmware::{self, Firmware, VarsFormat, Wanted, create_vars};
use qemuctl::{
    Instance, LaunchOptions, VmConfig,
    config::{AccelChoice, Arch, Boot, Machine, Memory, Size, UefiFirmware},
    guest::{ConsoleReader, Match},
};

use crate::support::{VERSIONS, guest_file, qemu};

/// Longer than anything takes on a loaded machine.
const GENEROUS: Duration = Duration::from_secs(600);

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

/// Launches the small Linux guest with UEFI, and reads its console until one of these is there.
async fn boot(
    version: &str,
    arch: Arch,
    uefi: UefiFirmware,
    dir: &Path,
    wanted: &str,
) -> (Instance, ConsoleReader, Match) {
    let console = if arch == Arch::Aarch64 { "ttyAMA0" } else { "ttyS0" };
    let file = |name| Some(guest_file(arch.qemu_name(), name));
    let config = VmConfig {
        name: Some("uefi".into()),
        qemu: Some(qemu(version, &format!("qemu-system-{}", arch.qemu_name()))),
        arch: Some(arch),
        socket_dir: Some(dir.into()),
        machine: Machine { accel: AccelChoice::Tcg, ..Machine::default() },
        memory: Memory::new(Size::mib(512)),
        firmware: Some(qemuctl::config::Firmware::Uefi(uefi)),
        boot: Boot {
            kernel: file("vmlinuz"),
            initrd: file("initramfs"),
            append: Some(format!("console={console} panic=-1 no_timer_check qemuctl.noagent")),
            ..Boot::default()
        },
        ..VmConfig::default()
    };
    let options = LaunchOptions { ready_timeout: GENEROUS, ..LaunchOptions::default() };
    let vm = Box::pin(Instance::start_with(&config, &options)).await.expect("started");
    let mut reader = vm.console().await.expect("it has one").reader_with_history();
    let found = reader.expect(wanted, GENEROUS).await.expect("it boots");
    (vm, reader, found)
}

/// Whether the guest has the interface to UEFI.
async fn sees_uefi(vm: &Instance, reader: &mut ConsoleReader) {
    let console = vm.console().await.expect("it has one");
    // The quotes keep the echo of the command from looking like its output.
    console.write_all(b"ls -d /sys/firmware/efi && echo se''en || echo bli''nd\n").await.expect("typed");
    let found = reader.expect("seen|blind", GENEROUS).await.expect("an answer");
    assert_eq!(found.groups[0], "seen", "{}", found.before);
}

#[tokio::test]
async fn a_launched_guest_sees_uefi_with_variables_of_its_own() {
    for (version, arch) in
        [("7.2", Arch::X86_64), ("11.1", Arch::X86_64), ("10.0", Arch::Aarch64), ("11.1", Arch::Aarch64)]
    {
        let dir = tempfile::tempdir().expect("a directory");
        let (vm, mut reader, _) =
            boot(version, arch, UefiFirmware::default(), dir.path(), "guest ready").await;
        sees_uefi(&vm, &mut reader).await;
        let vars = dir.path().join("uefi.vars.fd");
        assert_eq!(vars.metadata().expect("a copy").permissions().mode() & 0o777, 0o600, "{version} {arch}");
        vm.kill().await.expect("killed");
        assert!(!vars.exists(), "the copy goes with a VM that nobody detached");
    }
}

#[tokio::test]
async fn secure_boot_gets_smm_and_the_variables_with_keys() {
    for version in VERSIONS {
        let dir = tempfile::tempdir().expect("a directory");
        let uefi = UefiFirmware { secure_boot: true, ..UefiFirmware::default() };
        // The guest's kernel comes without the signed loader that the keys are for. Older firmware tells the kernel that
        // secure boot is on and starts it all the same, newer refuses it.
        let refusals = "loader is disabled|Access Denied|Security Violation";
        let wanted = format!("guest ready|{refusals}");
        let (vm, mut reader, found) = boot(version, Arch::X86_64, uefi, dir.path(), &wanted).await;
        let plan = vm.plan().expect("it was planned");
        let line = plan.command_line().to_string();
        let wiring: Vec<_> = line.split_whitespace().filter(|word| word.contains("smm=")).collect();
        assert_eq!(wiring.len(), 1, "{line}");
        let template = plan.block_nodes().find(|node| node.node_name == "pflash0-file");
        let code = template.and_then(|node| node.props.get_str("filename")).expect("the code");
        assert!(code.ends_with("/OVMF/OVMF_CODE_4M.ms.fd"), "{code}");
        if found.groups[0] == "guest ready" {
            assert!(found.before.contains("Secure boot enabled"), "{}", found.before);
            sees_uefi(&vm, &mut reader).await;
        } else {
            assert_eq!(version, "11.1", "{}", found.before);
        }
    }
}

#[tokio::test]
async fn a_guest_sees_uefi_with_secure_firmware_that_has_no_keys() {
    let dir = tempfile::tempdir().expect("a directory");
    let wanted = Wanted { secure_boot: true, ..Wanted::uefi(Arch::X86_64, "pc-q35-11.1") };
    let firmware = found("11.1", &wanted).expect("OVMF");
    let uefi = UefiFirmware {
        code: Some(firmware.code.path),
        vars_template: firmware.vars_template.map(|file| file.path),
        secure_boot: true,
        ..UefiFirmware::default()
    };
    let (vm, mut reader, booted) = boot("11.1", Arch::X86_64, uefi, dir.path(), "guest ready").await;
    assert!(booted.before.contains("Secure boot disabled"), "{}", booted.before);
    sees_uefi(&vm, &mut reader).await;
}
