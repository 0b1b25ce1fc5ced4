//! Where distributions put firmware, for hosts without descriptors.

use qemu_argv::Arch;

use super::found::{Firmware, Loading, raw, readable};
use super::wanted::{Interface, Wanted};
use crate::Places;

/// One pair of files: code and variables.
struct Known {
    code: &'static str,
    vars: &'static str,
    /// The code asks for signatures (and, on x86, for SMM).
    secure: bool,
    /// The variables hold keys.
    keys: bool,
}

const fn plain(code: &'static str, vars: &'static str) -> Known {
    Known { code, vars, secure: false, keys: false }
}

const fn secure(code: &'static str, vars: &'static str, keys: bool) -> Known {
    Known { code, vars, secure: true, keys }
}

/// Debian and Ubuntu, Fedora and its kin, Arch, openSUSE, then QEMU's own, which Homebrew and plain builds install.
const X86_64: &[Known] = &[
    plain("/usr/share/OVMF/OVMF_CODE_4M.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd"),
    secure("/usr/share/OVMF/OVMF_CODE_4M.ms.fd", "/usr/share/OVMF/OVMF_VARS_4M.ms.fd", true),
    secure("/usr/share/OVMF/OVMF_CODE_4M.secboot.fd", "/usr/share/OVMF/OVMF_VARS_4M.fd", false),
    plain("/usr/share/OVMF/OVMF_CODE.fd", "/usr/share/OVMF/OVMF_VARS.fd"),
    secure("/usr/share/OVMF/OVMF_CODE.secboot.fd", "/usr/share/OVMF/OVMF_VARS.secboot.fd", true),
    secure("/usr/share/OVMF/OVMF_CODE.secboot.fd", "/usr/share/OVMF/OVMF_VARS.fd", false),
    plain("/usr/share/edk2/ovmf/OVMF_CODE.fd", "/usr/share/edk2/ovmf/OVMF_VARS.fd"),
    secure("/usr/share/edk2/ovmf/OVMF_CODE.secboot.fd", "/usr/share/edk2/ovmf/OVMF_VARS.secboot.fd", true),
    plain("/usr/share/edk2/x64/OVMF_CODE.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd"),
    secure("/usr/share/edk2/x64/OVMF_CODE.secboot.4m.fd", "/usr/share/edk2/x64/OVMF_VARS.4m.fd", false),
    plain("/usr/share/qemu/ovmf-x86_64-code.bin", "/usr/share/qemu/ovmf-x86_64-vars.bin"),
    secure(
        "/usr/share/qemu/ovmf-x86_64-smm-ms-code.bin",
        "/usr/share/qemu/ovmf-x86_64-smm-ms-vars.bin",
        true,
    ),
    plain("/usr/share/qemu/edk2-x86_64-code.fd", "/usr/share/qemu/edk2-i386-vars.fd"),
    secure("/usr/share/qemu/edk2-x86_64-secure-code.fd", "/usr/share/qemu/edk2-i386-vars.fd", false),
    plain("/usr/local/share/qemu/edk2-x86_64-code.fd", "/usr/local/share/qemu/edk2-i386-vars.fd"),
    plain("/opt/homebrew/share/qemu/edk2-x86_64-code.fd", "/opt/homebrew/share/qemu/edk2-i386-vars.fd"),
];

const AARCH64: &[Known] = &[
    plain("/usr/share/AAVMF/AAVMF_CODE.no-secboot.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    plain("/usr/share/AAVMF/AAVMF_CODE.fd", "/usr/share/AAVMF/AAVMF_VARS.fd"),
    secure("/usr/share/AAVMF/AAVMF_CODE.ms.fd", "/usr/share/AAVMF/AAVMF_VARS.ms.fd", true),
    plain(
        "/usr/share/edk2/aarch64/QEMU_EFI-silent-pflash.raw",
        "/usr/share/edk2/aarch64/vars-template-pflash.raw",
    ),
    plain("/usr/share/edk2/aarch64/QEMU_CODE.fd", "/usr/share/edk2/aarch64/QEMU_VARS.fd"),
    plain("/usr/share/qemu/aavmf-aarch64-code.bin", "/usr/share/qemu/aavmf-aarch64-vars.bin"),
    plain("/usr/share/qemu/edk2-aarch64-code.fd", "/usr/share/qemu/edk2-arm-vars.fd"),
    plain("/usr/local/share/qemu/edk2-aarch64-code.fd", "/usr/local/share/qemu/edk2-arm-vars.fd"),
    plain("/opt/homebrew/share/qemu/edk2-aarch64-code.fd", "/opt/homebrew/share/qemu/edk2-arm-vars.fd"),
];

const ARM: &[Known] = &[
    plain("/usr/share/AAVMF/AAVMF32_CODE.fd", "/usr/share/AAVMF/AAVMF32_VARS.fd"),
    plain("/usr/share/qemu/edk2-arm-code.fd", "/usr/share/qemu/edk2-arm-vars.fd"),
];

const RISCV64: &[Known] = &[
    plain("/usr/share/qemu-efi-riscv64/RISCV_VIRT_CODE.fd", "/usr/share/qemu-efi-riscv64/RISCV_VIRT_VARS.fd"),
    plain("/usr/share/edk2/riscv/RISCV_VIRT_CODE.fd", "/usr/share/edk2/riscv/RISCV_VIRT_VARS.fd"),
    plain("/usr/share/qemu/edk2-riscv-code.fd", "/usr/share/qemu/edk2-riscv-vars.fd"),
];

const LOONGARCH64: &[Known] = &[
    plain("/usr/share/qemu-efi-loongarch64/QEMU_EFI.fd", "/usr/share/qemu-efi-loongarch64/QEMU_VARS.fd"),
    plain("/usr/share/edk2/loongarch64/QEMU_EFI.fd", "/usr/share/edk2/loongarch64/QEMU_VARS.fd"),
    plain("/usr/share/qemu/edk2-loongarch64-code.fd", "/usr/share/qemu/edk2-loongarch64-vars.fd"),
];

/// The pairs that fit and whose files are there, in the order of the list.
pub(super) fn firmware(places: &Places, wanted: &Wanted) -> Vec<Firmware> {
    let list = match wanted.arch {
        Arch::X86_64 => X86_64,
        Arch::Aarch64 => AARCH64,
        Arch::Arm => ARM,
        Arch::Riscv64 => RISCV64,
        Arch::Loongarch64 => LOONGARCH64,
        _ => &[],
    };
    // Nothing is known about special features or other interfaces of these files, nor about boards beyond the usual ones.
    if wanted.interface != Interface::Uefi || wanted.stateless || !wanted.features.is_empty() {
        return Vec::new();
    }
    let x86 = wanted.arch == Arch::X86_64;
    let q35 = wanted.machine.contains("q35");
    let usual =
        if x86 { q35 || wanted.machine.contains("i440fx") } else { wanted.machine.starts_with("virt") };
    if !usual {
        return Vec::new();
    }
    list.iter()
        .filter(|known| known.secure || !wanted.secure_boot)
        .filter(|known| known.keys == wanted.enrolled_keys)
        .filter(|known| !known.secure || !x86 || q35)
        .filter_map(|known| {
            let (code, vars) = (places.at(known.code), places.at(known.vars));
            (readable(&code) && readable(&vars)).then(|| Firmware {
                descriptor: None,
                code: raw(code),
                vars_template: Some(raw(vars)),
                loading: Loading::Flash,
                requires_smm: known.secure && x86,
                secure_boot: known.secure,
                enrolled_keys: known.keys,
                features: Vec::new(),
            })
        })
        .collect()
}
