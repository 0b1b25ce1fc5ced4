//! The kinds of board that differ in their buses, by the names of machine types.

use serde::{Deserialize, Serialize};

/// The kinds of board that differ in their buses.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Family {
    /// `q35`: PCI Express, six SATA ports.
    Q35,
    /// `pc`: the i440FX, conventional PCI, two IDE channels.
    I440fx,
    /// `isapc`: no PCI at all.
    IsaPc,
    /// `virt` of Arm (32 and 64 bits).
    VirtArm,
    /// `virt` of RISC-V (32 and 64 bits).
    VirtRiscv,
    /// `virt` of `LoongArch`.
    VirtLoongarch,
    /// `pseries` of POWER.
    Pseries,
    /// `s390-ccw-virtio`: channel I/O, and PCI without shared slots.
    S390Ccw,
    /// `microvm`: memory-mapped virtio, PCI Express on demand.
    Microvm,
    /// `malta` of MIPS.
    Malta,
    /// `sun4u` of SPARC.
    Sun4u,
    /// `g3beige` of PowerPC.
    G3beige,
    /// `virt` of the 68000 series: memory-mapped virtio alone.
    VirtM68k,
    /// `vexpress-a9` and `vexpress-a15` of Arm: four memory-mapped slots for virtio.
    Vexpress,
    /// `none`: a machine without any bus.
    None,
    /// A machine type this crate has no model of: places are left to QEMU.
    Unknown,
}

impl Family {
    pub(super) fn of(arch: &str, machine_type: &str) -> Self {
        let is = |base: &str| {
            machine_type
                .strip_prefix(base)
                .is_some_and(|version| version.is_empty() || version.starts_with('-'))
        };
        if is("q35") || is("pc-q35") {
            Self::Q35
        } else if is("isapc") {
            Self::IsaPc
        } else if is("pc") || is("pc-i440fx") {
            Self::I440fx
        } else if is("virt") {
            match arch {
                "aarch64" | "arm" => Self::VirtArm,
                "riscv64" | "riscv32" => Self::VirtRiscv,
                "loongarch64" => Self::VirtLoongarch,
                "m68k" => Self::VirtM68k,
                _ => Self::Unknown,
            }
        } else if is("pseries") {
            Self::Pseries
        } else if is("s390-ccw-virtio") {
            Self::S390Ccw
        } else if is("microvm") {
            Self::Microvm
        } else if is("malta") {
            Self::Malta
        } else if is("sun4u") {
            Self::Sun4u
        } else if is("g3beige") {
            Self::G3beige
        } else if is("vexpress") {
            Self::Vexpress
        } else if machine_type == "none" {
            Self::None
        } else {
            Self::Unknown
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versioned_names_are_of_their_family() {
        for (arch, name, family) in [
            ("x86_64", "q35", Family::Q35),
            ("x86_64", "pc-q35-7.2", Family::Q35),
            ("x86_64", "pc", Family::I440fx),
            ("i386", "pc-i440fx-10.0", Family::I440fx),
            ("x86_64", "isapc", Family::IsaPc),
            ("x86_64", "pcx", Family::Unknown),
            ("aarch64", "virt-11.1", Family::VirtArm),
            ("riscv32", "virt", Family::VirtRiscv),
            ("loongarch64", "virt", Family::VirtLoongarch),
            ("m68k", "virt", Family::VirtM68k),
            ("arm", "vexpress-a15", Family::Vexpress),
            ("or1k", "virt", Family::Unknown),
            ("aarch64", "sbsa-ref", Family::Unknown),
            ("ppc64", "pseries-10.0", Family::Pseries),
            ("s390x", "s390-ccw-virtio-7.2", Family::S390Ccw),
            ("mips64el", "malta", Family::Malta),
            ("sparc64", "sun4u", Family::Sun4u),
            ("ppc", "g3beige", Family::G3beige),
            ("x86_64", "microvm", Family::Microvm),
            ("x86_64", "none", Family::None),
        ] {
            assert_eq!(Family::of(arch, name), family, "{name}");
        }
    }
}
