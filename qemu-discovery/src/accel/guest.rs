//! A test guest of 400 bytes, which shows whether an accelerator works.
//!
//! It does what every kernel does first, and what a KVM without hardware support fails at: it enters the mode that
//! kernels use (long mode on x86-64, EL1 on aarch64), turns paging on and runs a loop. No firmware is involved, because
//! firmware uses modes that even such a KVM can run.
//!
//! The guest reports its progress on its first serial port, one letter for each [`Stage`], and ends QEMU when it is
//! done.

use qemu_argv::Arch;

/// Rounds of the counted loop in each of the [`STEPS`], as written into the code below.
#[cfg(test)]
const ROUNDS_PER_STEP: u32 = 2_000_000;

/// The parts that the loop is divided into. Between two parts the guest drops its cached translations.
pub(crate) const STEPS: u8 = 8;

/// How far a guest got.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, serde::Serialize, serde::Deserialize)]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum Stage {
    /// It did not run at all.
    Nothing,
    /// It executed its first instructions.
    Entered,
    /// It left real mode (x86 only).
    ProtectedMode,
    /// It switched paging on; on x86-64 it is in long mode as well.
    Paging,
    /// It went through this many of the loop's eight parts.
    Steps(u8),
    /// It finished.
    Done,
}

impl Stage {
    /// The stage that a letter on the serial port stands for.
    pub(crate) fn of(letter: u8) -> Option<Self> {
        match letter {
            b'R' => Some(Self::Entered),
            b'P' => Some(Self::ProtectedMode),
            b'L' | b'p' => Some(Self::Paging),
            b'0'..=b'7' => Some(Self::Steps(letter - b'0' + 1)),
            b'D' => Some(Self::Done),
            _ => None,
        }
    }
}

impl std::fmt::Display for Stage {
    fn fmt(&self, formatter: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Nothing => formatter.write_str("it executed nothing"),
            Self::Entered => formatter.write_str("it started and got no further"),
            Self::ProtectedMode => formatter.write_str("it reached protected mode and got no further"),
            Self::Paging => formatter.write_str("it switched paging on, then made no step of its loop"),
            Self::Steps(steps) => write!(formatter, "it made {steps} of the {STEPS} steps of its loop"),
            Self::Done => formatter.write_str("it finished"),
        }
    }
}

/// The guest for an architecture: the option that loads it, and its bytes. `None`: there is no such guest.
pub(crate) fn image(arch: Arch) -> Option<(&'static str, Vec<u8>)> {
    match arch {
        Arch::X86_64 | Arch::I386 => Some(("-bios", x86_rom())),
        Arch::Aarch64 => {
            Some(("-kernel", AARCH64_CODE.iter().flat_map(|instruction| instruction.to_le_bytes()).collect()))
        }
        _ => None,
    }
}

/// The offset of the code in the ROM.
const X86_ENTRY: usize = 0xf000;
/// The offset of the instruction that the processor executes first.
const X86_RESET: usize = 0xfff0;

/// A firmware image of 64 KiB, the smallest that QEMU takes.
fn x86_rom() -> Vec<u8> {
    const HLT: u8 = 0xf4;
    let mut rom = vec![HLT; 0x1_0000];
    rom[X86_ENTRY..X86_ENTRY + X86_CODE.len()].copy_from_slice(&X86_CODE);
    // jmp .-0xff3: from behind these three bytes back to X86_ENTRY
    rom[X86_RESET..X86_RESET + 3].copy_from_slice(&[0xe9, 0x0d, 0xf0]);
    rom
}

/// Starts where the reset vector of [`x86_rom`] jumps to, at [`X86_ENTRY`] of the last 64 KiB below 4 GiB. `.+0x…` counts from
/// the first byte. The page tables lie at 64 KiB, the counter at 128 KiB.
#[rustfmt::skip]
const X86_CODE: [u8; 406] = [
    // 16 bits, at the address that the reset vector jumps to.
    0xfa, // cli
    0xba, 0xf8, 0x03, // mov dx, 0x3f8: the first serial port
    0xb0, 0x52, // mov al, 'R'
    0xee, // out dx, al
    0x2e, 0x66, 0x0f, 0x01, 0x16, 0x90, 0xf1, // lgdtd cs:0xf190
    0x0f, 0x20, 0xc0, // mov eax, cr0
    0x0c, 0x01, // or al, 1: protected mode
    0x0f, 0x22, 0xc0, // mov cr0, eax
    0x66, 0xea, 0x1e, 0xf0, 0xff, 0xff, 0x08, 0x00, // jmp 0x8:.+0x01e
    // 32 bits, flat segments.
    0x66, 0xb8, 0x10, 0x00, // mov ax, 0x10
    0x8e, 0xd8, // mov ds, eax
    0x8e, 0xc0, // mov es, eax
    0x8e, 0xd0, // mov ss, eax
    0xbc, 0x00, 0x80, 0x00, 0x00, // mov esp, 0x8000
    0xb0, 0x50, // mov al, 'P'
    0xee, // out dx, al
    0xb8, 0x00, 0x00, 0x00, 0x80, // mov eax, 0x80000000
    0x0f, 0xa2, // cpuid
    0x3d, 0x01, 0x00, 0x00, 0x80, // cmp eax, 0x80000001
    0x0f, 0x82, 0x9b, 0x00, 0x00, 0x00, // jb .+0x0dd
    0xb8, 0x01, 0x00, 0x00, 0x80, // mov eax, 0x80000001
    0x0f, 0xa2, // cpuid
    0x0f, 0xba, 0xe2, 0x1d, // bt edx, 29: long mode?
    0x0f, 0x83, 0x8a, 0x00, 0x00, 0x00, // jae .+0x0dd
    // Six pages of zeros, then the tables: one page of level 4, one of level 3, four of level 2.
    0xfc, // cld
    0xbf, 0x00, 0x00, 0x01, 0x00, // mov edi, 0x10000
    0x31, 0xc0, // xor eax, eax
    0xb9, 0x00, 0x18, 0x00, 0x00, // mov ecx, 0x1800
    0xf3, 0xab, // rep stos [edi], eax
    0xc7, 0x05, 0x00, 0x00, 0x01, 0x00, 0x03, 0x10, 0x01, 0x00, // mov 0x10000, 0x11003
    0xc7, 0x05, 0x00, 0x10, 0x01, 0x00, 0x03, 0x20, 0x01, 0x00, // mov 0x11000, 0x12003
    0xc7, 0x05, 0x08, 0x10, 0x01, 0x00, 0x03, 0x30, 0x01, 0x00, // mov 0x11008, 0x13003
    0xc7, 0x05, 0x10, 0x10, 0x01, 0x00, 0x03, 0x40, 0x01, 0x00, // mov 0x11010, 0x14003
    0xc7, 0x05, 0x18, 0x10, 0x01, 0x00, 0x03, 0x50, 0x01, 0x00, // mov 0x11018, 0x15003
    0xbf, 0x00, 0x20, 0x01, 0x00, // mov edi, 0x12000
    0xb8, 0x83, 0x00, 0x00, 0x00, // mov eax, 0x83: present, writable, large page
    0xb9, 0x00, 0x08, 0x00, 0x00, // mov ecx, 0x800
    0x89, 0x07, // mov [edi], eax
    0x83, 0xc7, 0x08, // add edi, 0x8
    0x05, 0x00, 0x00, 0x20, 0x00, // add eax, 0x200000
    0xe2, 0xf4, // loop .+0x0a3
    0x0f, 0x20, 0xe0, // mov eax, cr4
    0x0c, 0x20, // or al, 0x20: physical address extension
    0x0f, 0x22, 0xe0, // mov cr4, eax
    0xb8, 0x00, 0x00, 0x01, 0x00, // mov eax, 0x10000
    0x0f, 0x22, 0xd8, // mov cr3, eax
    0xb9, 0x80, 0x00, 0x00, 0xc0, // mov ecx, 0xc0000080: EFER
    0x0f, 0x32, // rdmsr
    0x80, 0xcc, 0x01, // or ah, 1: long mode enable
    0x0f, 0x30, // wrmsr
    0x0f, 0x20, 0xc0, // mov eax, cr0
    0x0d, 0x00, 0x00, 0x00, 0x80, // or eax, 0x80000000: paging
    0x0f, 0x22, 0xc0, // mov cr0, eax
    0xea, 0x3f, 0xf1, 0xff, 0xff, 0x18, 0x00, // jmp 0x18:.+0x13f
    // Without long mode: one page directory of 1024 pages of 4 MiB.
    0xfc, // cld
    0xbf, 0x00, 0x00, 0x01, 0x00, // mov edi, 0x10000
    0xb8, 0x83, 0x00, 0x00, 0x00, // mov eax, 0x83: present, writable, large page
    0xb9, 0x00, 0x04, 0x00, 0x00, // mov ecx, 0x400
    0xab, // stos [edi], eax
    0x05, 0x00, 0x00, 0x40, 0x00, // add eax, 0x400000
    0xe2, 0xf8, // loop .+0x0ed
    0x0f, 0x20, 0xe0, // mov eax, cr4
    0x0c, 0x10, // or al, 0x10: 4 MiB pages
    0x0f, 0x22, 0xe0, // mov cr4, eax
    0xb8, 0x00, 0x00, 0x01, 0x00, // mov eax, 0x10000
    0x0f, 0x22, 0xd8, // mov cr3, eax
    0x0f, 0x20, 0xc0, // mov eax, cr0
    0x0d, 0x00, 0x00, 0x00, 0x80, // or eax, 0x80000000: paging
    0x0f, 0x22, 0xc0, // mov cr0, eax
    0xba, 0xf8, 0x03, 0x00, 0x00, // mov edx, 0x3f8
    0xb0, 0x70, // mov al, 'p'
    0xee, // out dx, al
    0xb3, 0x30, // mov bl, '0'
    0xb9, 0x80, 0x84, 0x1e, 0x00, // mov ecx, 2000000
    0x01, 0x0d, 0x00, 0x00, 0x02, 0x00, // add 0x20000, ecx
    0x49, // dec ecx
    0x75, 0xf7, // jne .+0x11f
    0x0f, 0x20, 0xd8, // mov eax, cr3
    0x0f, 0x22, 0xd8, // mov cr3, eax
    0x88, 0xd8, // mov al, bl
    0xee, // out dx, al
    0xfe, 0xc3, // inc bl
    0x80, 0xfb, 0x38, // cmp bl, '8'
    0x75, 0xe2, // jne .+0x11a
    0xb0, 0x44, // mov al, 'D'
    0xee, // out dx, al
    0xcc, // int3: no handler, so the processor resets and QEMU ends
    0xf4, // hlt
    0xeb, 0xfd, // jmp .+0x13c
    // 64 bits, paging on.
    0xba, 0xf8, 0x03, 0x00, 0x00, // mov edx, 0x3f8
    0xb0, 0x4c, // mov al, 'L'
    0xee, // out dx, al
    0xb3, 0x30, // mov bl, '0'
    0xb9, 0x80, 0x84, 0x1e, 0x00, // mov ecx, 2000000
    0x01, 0x0c, 0x25, 0x00, 0x00, 0x02, 0x00, // add 0x20000, ecx
    0xff, 0xc9, // dec ecx
    0x75, 0xf5, // jne .+0x14e
    0x0f, 0x20, 0xd8, // mov rax, cr3
    0x0f, 0x22, 0xd8, // mov cr3, rax
    0x88, 0xd8, // mov al, bl
    0xee, // out dx, al
    0xfe, 0xc3, // inc bl
    0x80, 0xfb, 0x38, // cmp bl, '8'
    0x75, 0xe0, // jne .+0x149
    0xb0, 0x44, // mov al, 'D'
    0xee, // out dx, al
    0xcc, // int3: no handler, so the processor resets and QEMU ends
    0xf4, // hlt
    0xeb, 0xfd, // jmp .+0x16d
    // Segment descriptors: none, 32-bit code, data, 64-bit code; then their limit and address.
    0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
    0xff, 0xff, 0x00, 0x00, 0x00, 0x9b, 0xcf, 0x00,
    0xff, 0xff, 0x00, 0x00, 0x00, 0x93, 0xcf, 0x00,
    0xff, 0xff, 0x00, 0x00, 0x00, 0x9b, 0xaf, 0x00,
    0x1f, 0x00, 0x70, 0xf1, 0xff, 0xff,
];

/// Runs at any page of the memory of the `virt` board. The page table lies 64 KiB above the image, the counter one page
/// above that.
#[rustfmt::skip]
const AARCH64_CODE: [u32; 55] = [
    0xd2a1_2013, // mov x19, #0x09000000: the serial port of `virt`
    0x5280_0a40, // mov w0, #'R'
    0xb900_0260, // str w0, [x19]
    0x10ff_ffa1, // adr x1, the image
    0x9140_4021, // add x1, x1, #0x10, lsl #12
    0x9274_cc21, // and x1, x1, #0xfffffffffffff000
    0xd280_8022, // mov x2, #0x401: 1 GiB of device memory
    0xf900_0022, // str x2, [x1]
    0xd280_e0a2, // mov x2, #0x705: 1 GiB of normal memory, cached
    0xb262_0042, // orr x2, x2, #0x40000000
    0xf900_0422, // str x2, [x1, #8]
    0xf900_083f, // str xzr, [x1, #16]
    0xf900_0c3f, // str xzr, [x1, #24]
    0xd503_3f9f, // dsb sy
    0xd29f_e002, // mov x2, #0xff00: kinds of memory, 0 device and 1 cached
    0xd518_a202, // msr mair_el1, x2
    0xd286_a402, // mov x2, #0x3520: 32 bits of address, 4 KiB granule
    0xf2a0_1002, // movk x2, #0x80, lsl #16: the upper half is not used
    0xd518_2042, // msr tcr_el1, x2
    0xd518_2001, // msr ttbr0_el1, x1
    0xd503_3fdf, // isb
    0xd508_871f, // tlbi vmalle1
    0xd503_3f9f, // dsb sy
    0xd503_3fdf, // isb
    0xd538_1002, // mrs x2, sctlr_el1
    0xd282_00a3, // mov x3, #0x1005: MMU and caches on
    0xaa03_0042, // orr x2, x2, x3
    0xd518_1002, // msr sctlr_el1, x2
    0xd503_3fdf, // isb
    0x5280_0980, // mov w0, #'L'
    0xb900_0260, // str w0, [x19]
    0x9140_0424, // add x4, x1, #0x1, lsl #12
    0xf900_009f, // str xzr, [x4]
    0x5280_0605, // mov w5, #'0'
    0xd290_9006, // mov x6, #0x8480
    0xf2a0_03c6, // movk x6, #0x1e, lsl #16: 2000000
    0xf940_0087, // ldr x7, [x4]
    0x8b06_00e7, // add x7, x7, x6
    0xf900_0087, // str x7, [x4]
    0xf100_04c6, // subs x6, x6, #0x1
    0x54ff_ff81, // b.ne .+0x90
    0xd508_871f, // tlbi vmalle1
    0xd503_3f9f, // dsb sy
    0xd503_3fdf, // isb
    0xb900_0265, // str w5, [x19]
    0x1100_04a5, // add w5, w5, #0x1
    0x7100_e0bf, // cmp w5, #'8'
    0x54ff_fe61, // b.ne .+0x88
    0x5280_0880, // mov w0, #'D'
    0xb900_0260, // str w0, [x19]
    0x5280_0100, // mov w0, #0x8
    0x72b0_8000, // movk w0, #0x8400, lsl #16
    0xd400_0002, // hvc #0: PSCI SYSTEM_OFF, and QEMU ends
    0xd503_207f, // wfi
    0x17ff_ffff, // b .+0xd4
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_reset_vector_leads_to_the_code() {
        let rom = x86_rom();
        let jump = i16::from_le_bytes([rom[X86_RESET + 1], rom[X86_RESET + 2]]);
        assert_eq!(i64::try_from(X86_RESET + 3).unwrap() + i64::from(jump), 0xf000);
        assert_eq!(rom.len() % 0x1_0000, 0);
    }

    #[test]
    fn both_guests_count_the_same_rounds() {
        let x86 = [&[0xb9][..], &ROUNDS_PER_STEP.to_le_bytes()].concat();
        assert_eq!(X86_CODE.windows(5).filter(|bytes| *bytes == x86).count(), 2);
        let [low, high] = [ROUNDS_PER_STEP & 0xffff, ROUNDS_PER_STEP >> 16];
        let moves = [0xd280_0006 | (low << 5), 0xf2a0_0006 | (high << 5)];
        assert_eq!(AARCH64_CODE.windows(2).filter(|pair| *pair == moves).count(), 1);
    }

    #[test]
    fn stages_grow_as_the_guest_gets_on() {
        let stages: Vec<_> = b"RPL01234567D".iter().map(|letter| Stage::of(*letter).unwrap()).collect();
        assert!(stages.is_sorted());
        assert_eq!(Stage::of(b'\n'), None);
    }
}
