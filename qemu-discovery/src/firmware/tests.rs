//! Which firmware is found, on small trees shaped like those of distributions.

use std::fs;
use std::os::unix::fs::PermissionsExt;

use super::*;

struct Tree(tempfile::TempDir, Places);

impl Tree {
    fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::below(dir.path());
        Self(dir, places)
    }

    fn file(self, path: &str, text: &str) -> Self {
        let path = self.1.at(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
        self
    }

    fn flash(self, name: &str, code: &str, vars: &str, target: &str, features: &[&str]) -> Self {
        let (arch, machines) = target.split_once(' ').unwrap();
        let json = serde_json::json!({
            "description": "a test", "interface-types": ["uefi"], "tags": [], "features": features,
            "targets": [{"architecture": arch, "machines": [machines]}],
            "mapping": {"device": "flash", "executable": {"filename": code, "format": "raw"},
                        "nvram-template": {"filename": vars, "format": "raw"}},
        });
        self.file(&format!("/usr/share/qemu/firmware/{name}.json"), &json.to_string())
    }

    /// As Debian has it: the most secure one first.
    fn debian() -> Self {
        let q35 = "x86_64 pc-q35-*";
        Self::new()
            .file("/f/code", "code")
            .file("/f/secure-code", "code")
            .file("/f/vars", "variables")
            .file("/f/vars-with-keys", "variables and keys")
            .flash(
                "40-secure-enrolled",
                "/f/secure-code",
                "/f/vars-with-keys",
                q35,
                &["enrolled-keys", "requires-smm", "secure-boot"],
            )
            .flash("50-secure", "/f/secure-code", "/f/vars", q35, &["requires-smm", "secure-boot"])
            .flash("60-plain", "/f/code", "/f/vars", q35, &["acpi-s3"])
    }

    /// The answer in short.
    fn found(&self, wanted: &Wanted) -> String {
        match find_in(&self.1, wanted) {
            Ok(firmware) => {
                let vars = firmware.vars_template.as_ref().map(|vars| vars.path.display().to_string());
                format!(
                    "{} {} {:?}{}",
                    firmware.code.path.display(),
                    vars.as_deref().unwrap_or("-"),
                    firmware.loading,
                    if firmware.requires_smm { " with SMM" } else { "" }
                )
            }
            Err(error) => error.to_string(),
        }
        .replace(self.0.path().to_str().unwrap(), "")
    }
}

fn q35() -> Wanted {
    Wanted::uefi(Arch::X86_64, "pc-q35-10.0")
}

#[test]
fn plain_firmware_unless_secure_boot_is_wanted() {
    let tree = Tree::debian();
    insta::assert_snapshot!([
        tree.found(&q35()),
        tree.found(&q35().secure()),
        tree.found(&Wanted { secure_boot: true, ..q35() }),
        tree.found(&Wanted { features: vec!["acpi-s3".into()], ..q35() }),
    ].join("\n"), @r"
    /f/code /f/vars Flash
    /f/secure-code /f/vars-with-keys Flash with SMM
    /f/secure-code /f/vars Flash with SMM
    /f/code /f/vars Flash
    ");
}

#[test]
fn what_does_not_fit_is_told() {
    let tree = Tree::debian();
    insta::assert_snapshot!([
        tree.found(&Wanted::uefi(Arch::X86_64, "q35")),
        tree.found(&Wanted::uefi(Arch::Aarch64, "virt-10.0")),
        tree.found(&Wanted { stateless: true, ..q35() }),
        tree.found(&Wanted { interface: Interface::Bios, ..q35() }),
        tree.found(&Wanted { features: vec!["amd-sev".into()], ..q35() }.secure()),
    ].join("\n"), @r"
    no firmware for x86_64 q35 (uefi): the installed ones are for other machine types or lack a feature (looked in /home/user/.config/qemu/firmware, /etc/qemu/firmware, /usr/local/share/qemu/firmware, /usr/share/qemu/firmware)
    no firmware for aarch64 virt-10.0 (uefi): install the package qemu-efi-aarch64 (Debian), edk2-aarch64 (Fedora) (looked in /home/user/.config/qemu/firmware, /etc/qemu/firmware, /usr/local/share/qemu/firmware, /usr/share/qemu/firmware)
    no firmware for x86_64 pc-q35-10.0 (uefi, stateless): the installed ones are for other machine types or lack a feature (looked in /home/user/.config/qemu/firmware, /etc/qemu/firmware, /usr/local/share/qemu/firmware, /usr/share/qemu/firmware)
    no firmware for x86_64 pc-q35-10.0 (bios): the installed ones are for other machine types or lack a feature (looked in /home/user/.config/qemu/firmware, /etc/qemu/firmware, /usr/local/share/qemu/firmware, /usr/share/qemu/firmware)
    no firmware for x86_64 pc-q35-10.0 (uefi, secure boot, enrolled keys, amd-sev): the installed ones are for other machine types or lack a feature (looked in /home/user/.config/qemu/firmware, /etc/qemu/firmware, /usr/local/share/qemu/firmware, /usr/share/qemu/firmware)
    ");
}

#[test]
fn a_descriptor_without_its_files_is_passed_over_and_named_if_nothing_else_fits() {
    let tree = Tree::debian();
    fs::remove_file(tree.1.at("/f/code")).unwrap();
    // The one with secure boot but without keys boots anything too.
    let second_best = tree.found(&q35());
    fs::remove_file(tree.1.at("/f/secure-code")).unwrap();
    insta::assert_snapshot!([second_best, tree.found(&q35())].join("\n"), @r"
    /f/secure-code /f/vars Flash with SMM
    no firmware for x86_64 pc-q35-10.0 (uefi): firmware /usr/share/qemu/firmware/50-secure.json: its file /f/secure-code cannot be opened: No such file or directory (os error 2); firmware /usr/share/qemu/firmware/60-plain.json: its file /f/code cannot be opened: No such file or directory (os error 2)
    ");
}

#[test]
fn stateless_firmware_is_found_when_asked_for() {
    let amd = serde_json::json!({
        "description": "SEV", "interface-types": ["uefi"], "features": ["amd-sev"], "tags": [],
        "targets": [{"architecture": "x86_64", "machines": ["pc-q35-*"]}],
        "mapping": {"device": "memory", "filename": "/f/code"},
    });
    let tree = Tree::debian().file("/usr/share/qemu/firmware/10-amd.json", &amd.to_string());
    insta::assert_snapshot!([
        tree.found(&q35()),
        tree.found(&Wanted { stateless: true, features: vec!["amd-sev".into()], ..q35() }),
    ].join("\n"), @r"
    /f/code /f/vars Flash
    /f/code - Bios
    ");
}

#[test]
fn known_places_serve_where_there_are_no_descriptors() {
    let tree = Tree::new()
        .file("/usr/share/OVMF/OVMF_CODE_4M.fd", "")
        .file("/usr/share/OVMF/OVMF_VARS_4M.fd", "")
        .file("/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "")
        .file("/usr/share/OVMF/OVMF_VARS_4M.ms.fd", "")
        .file("/usr/share/qemu/edk2-aarch64-code.fd", "")
        .file("/usr/share/qemu/edk2-arm-vars.fd", "");
    insta::assert_snapshot!([
        tree.found(&q35()),
        tree.found(&q35().secure()),
        tree.found(&Wanted::uefi(Arch::X86_64, "pc-i440fx-10.0").secure()),
        tree.found(&Wanted::uefi(Arch::X86_64, "microvm")),
        tree.found(&Wanted::uefi(Arch::Aarch64, "virt-10.0")),
        tree.found(&Wanted::uefi(Arch::Riscv64, "virt")),
    ].join("\n"), @r"
    /usr/share/OVMF/OVMF_CODE_4M.fd /usr/share/OVMF/OVMF_VARS_4M.fd Flash
    /usr/share/OVMF/OVMF_CODE_4M.ms.fd /usr/share/OVMF/OVMF_VARS_4M.ms.fd Flash with SMM
    no firmware for x86_64 pc-i440fx-10.0 (uefi, secure boot, enrolled keys): install the package ovmf (Debian), edk2-ovmf (Fedora, Arch) (looked in /home/user/.config/qemu/firmware, /etc/qemu/firmware, /usr/local/share/qemu/firmware, /usr/share/qemu/firmware)
    no firmware for x86_64 microvm (uefi): install the package ovmf (Debian), edk2-ovmf (Fedora, Arch) (looked in /home/user/.config/qemu/firmware, /etc/qemu/firmware, /usr/local/share/qemu/firmware, /usr/share/qemu/firmware)
    /usr/share/qemu/edk2-aarch64-code.fd /usr/share/qemu/edk2-arm-vars.fd Flash
    no firmware for riscv64 virt (uefi): install the package qemu-efi-riscv64 (Debian), edk2-riscv64 (Fedora) (looked in /home/user/.config/qemu/firmware, /etc/qemu/firmware, /usr/local/share/qemu/firmware, /usr/share/qemu/firmware)
    ");
}

#[tokio::test]
async fn a_machine_gets_a_private_copy_once() {
    let tree = Tree::debian();
    let template = ImageFile { path: tree.1.at("/f/vars"), format: "raw".into() };
    fs::set_permissions(&template.path, fs::Permissions::from_mode(0o444)).unwrap();
    let path = tree.0.path().join("machine.vars");
    let make = || create_vars(&template, &path, VarsFormat::Template, None);
    // Several at once: one of them makes it, and all are content.
    let (first, second, third) = tokio::join!(make(), make(), make());
    let expected = ImageFile { path: path.clone(), format: "raw".into() };
    assert_eq!(
        [first.unwrap(), second.unwrap(), third.unwrap()],
        [expected.clone(), expected.clone(), expected]
    );
    assert_eq!(fs::read_to_string(&path).unwrap(), "variables");
    assert_eq!(path.metadata().unwrap().permissions().mode() & 0o777, 0o600);
    fs::write(&path, "what the guest stored").unwrap();
    make().await.unwrap();
    assert_eq!(fs::read_to_string(&path).unwrap(), "what the guest stored");
    let left: Vec<_> = fs::read_dir(tree.0.path()).unwrap().map(|entry| entry.unwrap().file_name()).collect();
    assert!(left.iter().all(|name| !name.to_string_lossy().starts_with(".vars-")), "{left:?}");
}

#[tokio::test]
async fn faults_of_a_copy_are_told() {
    let tree = Tree::debian();
    let template = ImageFile { path: tree.1.at("/f/vars"), format: "raw".into() };
    let missing = ImageFile { path: tree.1.at("/f/missing"), format: "raw".into() };
    let target = tree.0.path().join("machine.vars");
    std::os::unix::fs::symlink("/dev/null", tree.0.path().join("planted")).unwrap();
    let told: Vec<String> = [
        create_vars(&missing, &target, VarsFormat::Template, None).await,
        create_vars(&template, &tree.1.at("/no/folder"), VarsFormat::Template, None).await,
        create_vars(&template, &target, VarsFormat::Qcow2, None).await,
        create_vars(&template, &tree.0.path().join("planted"), VarsFormat::Raw, None).await,
    ]
    .into_iter()
    .map(|made| made.unwrap_err().to_string().replace(tree.0.path().to_str().unwrap(), ""))
    .collect();
    insta::assert_snapshot!(told.join("\n"), @r"
    cannot copy /f/missing
    cannot create a file in /no
    firmware /f/vars: qemu-img is required to make a qcow2 copy of it; install qemu-utils or qemu-img
    firmware /planted: the path of the machine's variables is not a regular file
    ");
    assert!(!target.exists());
}
