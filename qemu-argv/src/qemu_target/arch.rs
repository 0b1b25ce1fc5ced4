//! Guest architectures and their names in QEMU, Go and Rust.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Deserializer, Serialize, Serializer, de};

use super::Version;

/// A guest architecture. In config files, may be given by QEMU's name (`x86_64`), Go's (`amd64`) or Rust's
/// (`powerpc64`).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[expect(missing_docs, reason = "the names are the architectures' own")]
#[non_exhaustive]
pub enum Arch {
    X86_64,
    I386,
    Aarch64,
    Arm,
    Riscv64,
    Riscv32,
    Loongarch64,
    Ppc64,
    Ppc,
    Mips,
    Mipsel,
    Mips64,
    Mips64el,
    S390x,
    Sparc64,
    Sparc,
    M68k,
    Hppa,
    Alpha,
    Or1k,
    Microblaze,
    Microblazeel,
    Sh4,
    Sh4eb,
    Xtensa,
    Xtensaeb,
    Avr,
    Rx,
    Tricore,
    Cris,
    Nios2,
    Hexagon,
}

/// Each architecture with QEMU's name and the other accepted names.
const NAMES: [(Arch, &[&str]); 32] = [
    (Arch::X86_64, &["x86_64", "amd64", "x86-64"]),
    (Arch::I386, &["i386", "386", "x86", "i486", "i586", "i686"]),
    (Arch::Aarch64, &["aarch64", "arm64"]),
    (Arch::Arm, &["arm", "armhf", "armel", "armv7"]),
    (Arch::Riscv64, &["riscv64", "riscv64gc"]),
    (Arch::Riscv32, &["riscv32", "riscv32gc"]),
    (Arch::Loongarch64, &["loongarch64", "loong64"]),
    (Arch::Ppc64, &["ppc64", "ppc64le", "ppc64el", "powerpc64", "powerpc64le"]),
    (Arch::Ppc, &["ppc", "powerpc"]),
    (Arch::Mips, &["mips"]),
    (Arch::Mipsel, &["mipsel", "mipsle"]),
    (Arch::Mips64, &["mips64"]),
    (Arch::Mips64el, &["mips64el", "mips64le"]),
    (Arch::S390x, &["s390x"]),
    (Arch::Sparc64, &["sparc64"]),
    (Arch::Sparc, &["sparc"]),
    (Arch::M68k, &["m68k"]),
    (Arch::Hppa, &["hppa", "parisc"]),
    (Arch::Alpha, &["alpha"]),
    (Arch::Or1k, &["or1k", "openrisc"]),
    (Arch::Microblaze, &["microblaze"]),
    (Arch::Microblazeel, &["microblazeel"]),
    (Arch::Sh4, &["sh4"]),
    (Arch::Sh4eb, &["sh4eb"]),
    (Arch::Xtensa, &["xtensa"]),
    (Arch::Xtensaeb, &["xtensaeb"]),
    (Arch::Avr, &["avr"]),
    (Arch::Rx, &["rx"]),
    (Arch::Tricore, &["tricore"]),
    (Arch::Cris, &["cris"]),
    (Arch::Nios2, &["nios2"]),
    (Arch::Hexagon, &["hexagon"]),
];

impl Arch {
    /// All architectures, in the order of the documentation.
    pub fn all() -> impl Iterator<Item = Self> {
        NAMES.iter().map(|(arch, _)| *arch)
    }

    /// All accepted names.
    #[cfg(feature = "schema")]
    pub(crate) fn names() -> impl Iterator<Item = &'static str> {
        NAMES.iter().flat_map(|(_, names)| names.iter().copied())
    }

    /// Returns the architecture this program was compiled for, if QEMU supports it.
    pub fn host() -> Option<Self> {
        if cfg!(target_arch = "x86_64") {
            Some(Self::X86_64)
        } else if cfg!(target_arch = "x86") {
            Some(Self::I386)
        } else if cfg!(target_arch = "aarch64") {
            Some(Self::Aarch64)
        } else if cfg!(target_arch = "arm") {
            Some(Self::Arm)
        } else if cfg!(target_arch = "riscv64") {
            Some(Self::Riscv64)
        } else if cfg!(target_arch = "loongarch64") {
            Some(Self::Loongarch64)
        } else if cfg!(target_arch = "powerpc64") {
            Some(Self::Ppc64)
        } else if cfg!(target_arch = "s390x") {
            Some(Self::S390x)
        } else {
            None
        }
    }

    /// Returns QEMU's name, as in `qemu-system-…`.
    pub fn qemu_name(self) -> &'static str {
        NAMES.iter().find(|(arch, _)| *arch == self).map_or("x86_64", |(_, names)| names[0])
    }

    /// Returns the best general-purpose machine type. It is always set explicitly, since QEMU's own default is an old
    /// board on x86, and Arm has none.
    pub const fn default_machine(self) -> &'static str {
        match self {
            Self::X86_64 | Self::I386 => "q35",
            Self::Aarch64
            | Self::Arm
            | Self::Riscv64
            | Self::Riscv32
            | Self::Loongarch64
            | Self::M68k
            | Self::Or1k
            | Self::Hexagon => "virt",
            Self::Ppc64 => "pseries",
            Self::Ppc => "g3beige",
            Self::Mips | Self::Mipsel | Self::Mips64 | Self::Mips64el => "malta",
            Self::S390x => "s390-ccw-virtio",
            Self::Sparc64 => "sun4u",
            Self::Sparc => "SS-5",
            Self::Hppa => "B160L",
            Self::Alpha => "clipper",
            Self::Microblaze | Self::Microblazeel => "petalogix-s3adsp1800",
            Self::Sh4 | Self::Sh4eb => "r2d",
            Self::Xtensa | Self::Xtensaeb => "sim",
            Self::Avr => "mega2560",
            Self::Rx => "gdbsim-r5f562n8",
            Self::Tricore => "tricore_testboard",
            Self::Cris => "axis-dev88",
            Self::Nios2 => "10m50-ghrd",
        }
    }

    /// Returns the most capable CPU model of `version` for TCG, or `None` if the board's default is best.
    ///
    /// RISC-V and `LoongArch` have `max` since versions after 7.2; MIPS and SPARC do not. QEMU's own default for
    /// `aarch64` is a 32-bit model.
    pub fn default_cpu(self, version: Version) -> Option<&'static str> {
        match self {
            Self::X86_64 | Self::I386 | Self::Aarch64 | Self::Arm | Self::S390x => Some("max"),
            Self::Riscv64 | Self::Riscv32 | Self::Loongarch64 if version >= Version::new(10, 0) => {
                Some("max")
            }
            Self::Mips64 | Self::Mips64el => Some("MIPS64R2-generic"),
            _ => None,
        }
    }

    /// Returns Linux's name of the console on the first serial port of the [default machine](Self::default_machine),
    /// for `console=` on the kernel command line.
    pub const fn default_console(self) -> &'static str {
        match self {
            Self::Aarch64 | Self::Arm => "ttyAMA0",
            Self::Ppc64 => "hvc0",
            Self::Ppc => "ttyPZ0",
            Self::S390x => "ttysclp0",
            Self::M68k => "ttyGF0",
            Self::Microblaze | Self::Microblazeel => "ttyUL0",
            Self::Sh4 | Self::Sh4eb => "ttySC1",
            _ => "ttyS0",
        }
    }
}

impl fmt::Display for Arch {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        formatter.write_str(self.qemu_name())
    }
}

/// The error for an unknown architecture.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error(
    "unknown architecture {0:?}; known are x86_64, i386, aarch64, arm, riscv64, riscv32, loongarch64, \
         ppc64, ppc, mips, mipsel, mips64, mips64el, s390x, sparc64, sparc, m68k, hppa, alpha, or1k, microblaze, \
         microblazeel, sh4, sh4eb, xtensa, xtensaeb, avr, rx, tricore, cris, nios2, hexagon"
)]
#[non_exhaustive]
pub struct ParseArchError(String);

impl FromStr for Arch {
    type Err = ParseArchError;

    fn from_str(text: &str) -> Result<Self, ParseArchError> {
        let wanted = text.to_ascii_lowercase();
        NAMES
            .iter()
            .find(|(_, names)| names.contains(&wanted.as_str()))
            .map(|(arch, _)| *arch)
            .ok_or_else(|| ParseArchError(text.to_owned()))
    }
}

impl Serialize for Arch {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.serialize_str(self.qemu_name())
    }
}

impl<'de> Deserialize<'de> for Arch {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        String::deserialize(deserializer)?.parse().map_err(de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_leads_to_its_architecture() {
        for (arch, names) in NAMES {
            for name in names {
                assert_eq!(name.parse(), Ok(arch));
            }
            assert_eq!(arch.qemu_name(), names[0]);
        }
        assert_eq!("AMD64".parse(), Ok(Arch::X86_64));
        assert_eq!("vax".parse::<Arch>(), Err(ParseArchError("vax".into())));
    }
}
