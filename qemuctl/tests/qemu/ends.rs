//! Guests that choose the exit code, however soon: the code is the result, from the program and from the library, on every QEMU.

use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use qemuctl::{ExitReason, Instance, LaunchOptions, ProcessExit, config};

use crate::boot_sector::leftovers;
use crate::support::{VERSIONS, qemu};

/// Longer than anything takes on a loaded machine.
const GENEROUS: Duration = Duration::from_secs(120);

/// How a guest chooses the exit code of its QEMU.
#[derive(Clone, Copy, Debug)]
enum Device {
    /// `isa-debug-exit`: the value `n` becomes the code `2n + 1`.
    DebugExit,
    /// RISC-V's test device: the code itself, and 0 for a test that is passed.
    RiscvTest,
    /// Arm's semihosting, by a Cortex-M that ends some microseconds after its start.
    Semihosting,
}

impl Device {
    /// The first instructions that a guest executes, as its image, and the config that boots it.
    fn config(self, dir: &Path, version: &str, code: u8) -> String {
        let write = |name: &str, image: Vec<u8>| {
            std::fs::write(dir.join(name), image).expect("written");
        };
        let (binary, rest) = match self {
            Self::DebugExit => {
                write("guest.raw", debug_exit(code));
                let disk = "{ backend = \"guest.raw\", interface = \"ide\" }";
                let board = "type = \"pc\"";
                (
                    "x86_64",
                    format!(
                        "disks = [{disk}]\ndebug_exit = {{}}\nmachine = {{ {board}, accel = \"tcg\" }}\n"
                    ),
                )
            }
            Self::RiscvTest => {
                write("guest.bin", riscv_test(code));
                let firmware = "firmware = { type = \"bios\", path = \"guest.bin\" }\n";
                ("riscv64", format!("arch = \"riscv64\"\n{firmware}machine = {{ accel = \"tcg\" }}\n"))
            }
            Self::Semihosting => {
                write("guest.elf", semihosting(code));
                let board = "machine = { type = \"lm3s6965evb\", accel = \"tcg\" }\n";
                let boot = "boot = { kernel = \"guest.elf\" }\ncpu = \"cortex-m3\"\n";
                let extra = "extra_args = [\"-semihosting-config\", \"enable=on,target=native\"]\n";
                ("arm", format!("arch = \"arm\"\n{board}{boot}{extra}"))
            }
        };
        let memory = if matches!(self, Self::Semihosting) { "" } else { "memory = \"64MiB\"\n" };
        let program = qemu(version, &format!("qemu-system-{binary}"));
        format!("name = \"end\"\nqemu = \"{}\"\n{memory}{rest}", program.display())
    }
}

/// A boot sector that writes to port 0x501 so that the code becomes `code`, which is odd.
fn debug_exit(code: u8) -> Vec<u8> {
    let mut disk = vec![0; 1 << 20];
    disk[..10].copy_from_slice(&[0xba, 0x01, 0x05, 0xb0, code / 2, 0xee, 0xfa, 0xf4, 0xeb, 0xfd]);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// Machine code at the reset vector of the board `virt` that writes to its test device.
fn riscv_test(code: u8) -> Vec<u8> {
    let value: u32 = if code == 0 { 0x5555 } else { u32::from(code) << 16 | 0x3333 };
    let (high, low) = ((value + 0x800) >> 12, value & 0xfff);
    let words = [
        0x100 << 12 | 5 << 7 | 0x37,         // lui t0, 0x100
        high << 12 | 6 << 7 | 0x37,          // lui t1, high
        low << 20 | 6 << 15 | 6 << 7 | 0x13, // addi t1, t1, low
        6 << 20 | 5 << 15 | 2 << 12 | 0x23,  // sw t1, 0(t0)
        0x6f,                                // j .
    ];
    words.iter().flat_map(|word| word.to_le_bytes()).collect()
}

/// A Cortex-M's vector table and code as an ELF file: a semihosting call that exits with `code`.
fn semihosting(code: u8) -> Vec<u8> {
    const VECTORS: u32 = 0x40;
    let mut image: Vec<u8> = 0x2000_8000_u32.to_le_bytes().to_vec();
    image.extend((1..16).flat_map(|_| (VECTORS | 1).to_le_bytes()));
    // movs r0, #0x20; ldr r1, [pc, #4]; bkpt 0xab; b .
    image.extend([0x2020_u16, 0x4901, 0xbeab, 0xe7fe].iter().flat_map(|half| half.to_le_bytes()));
    // Where the block is, and the block: the reason, "the application exits", and its code.
    image.extend([VECTORS + 12, 0x20026, u32::from(code)].iter().flat_map(|word| word.to_le_bytes()));
    let length = u32::try_from(image.len()).expect("small");
    let mut file = b"\x7fELF\x01\x01\x01\0\0\0\0\0\0\0\0\0".to_vec();
    file.extend([2_u16, 40].iter().flat_map(|half| half.to_le_bytes()));
    file.extend([1, VECTORS | 1, 52, 0, 0x0500_0200].iter().flat_map(|word: &u32| word.to_le_bytes()));
    file.extend([52_u16, 32, 1, 0, 0, 0].iter().flat_map(|half| half.to_le_bytes()));
    let segment = [1, 0x1000, 0, 0, length, length, 7, 0x1000];
    file.extend(segment.iter().flat_map(|word: &u32| word.to_le_bytes()));
    file.resize(0x1000, 0);
    file.extend(image);
    file
}

const ROWS: [(Device, u8); 9] = [
    (Device::DebugExit, 1),
    (Device::DebugExit, 7),
    (Device::DebugExit, 255),
    (Device::RiscvTest, 0),
    (Device::RiscvTest, 3),
    (Device::RiscvTest, 10),
    (Device::Semihosting, 0),
    (Device::Semihosting, 7),
    (Device::Semihosting, 255),
];

/// Writes the row's config into a directory of its own.
fn place(device: Device, version: &str, code: u8) -> tempfile::TempDir {
    let dir = tempfile::tempdir().expect("a directory");
    let images = dir.path().join("images");
    std::fs::create_dir(&images).expect("a directory");
    std::fs::write(images.join("end.toml"), device.config(&images, version, code)).expect("written");
    dir
}

#[tokio::test]
async fn the_exit_code_that_a_guest_chooses_is_in_the_reason() {
    for version in VERSIONS {
        for (device, code) in ROWS {
            let dir = place(device, version, code);
            let context = format!("{device:?} with {code} on {version}");
            let mut config = config::load(dir.path().join("images/end.toml")).expect("valid");
            config.socket_dir = Some(dir.path().into());
            let vm = Instance::start(&config).await.expect(&context);
            let exit = tokio::time::timeout(GENEROUS, vm.wait_exit()).await.expect(&context);
            let code = i32::from(code);
            assert_eq!(exit.process, ProcessExit::Code(code), "{context}");
            // That a test is passed, newer ones tell as a shutdown.
            if exit.reason != ExitReason::GuestShutdown || code != 0 {
                assert_eq!(exit.reason, ExitReason::Exited { code }, "{context}");
            }
            assert_eq!(exit.reason.is_orderly(), code == 0, "{context}");
            assert_eq!(vm.exit(), Some(exit), "{context}");
            assert_eq!(leftovers(dir.path()), [""; 0], "{context}");
        }
    }
}

/// Runs the program on the row's config; its exit code.
fn program(command: &str, dir: &Path) -> Option<i32> {
    qemuctl(&[command, "--quiet", "images/end.toml"], dir)
}

fn qemuctl(args: &[&str], dir: &Path) -> Option<i32> {
    let mut program = Command::new(env!("CARGO_BIN_EXE_qemuctl"));
    program.args(args).current_dir(dir).stdin(Stdio::null());
    program.env("QEMUCTL_SOCKET_DIR", dir.join("run")).output().expect("it starts").status.code()
}

#[test]
fn the_program_ends_with_the_code_that_the_guest_chose() {
    for version in VERSIONS {
        for (device, code) in ROWS {
            let dir = place(device, version, code);
            assert_eq!(
                program("run", dir.path()),
                Some(i32::from(code)),
                "{device:?} with {code} on {version}"
            );
        }
    }
}

#[tokio::test]
async fn a_guest_that_ends_at_once_is_a_vm_that_ran() {
    for round in 0..51 {
        let version = VERSIONS[round % VERSIONS.len()];
        let dir = place(Device::Semihosting, version, 7);
        let mut config = config::load(dir.path().join("images/end.toml")).expect("valid");
        config.socket_dir = Some(dir.path().into());
        let vm = if round % 2 == 0 {
            Instance::start(&config).await
        } else {
            Instance::start_detached(&config, &LaunchOptions::default()).await
        };
        let vm = vm.unwrap_or_else(|error| panic!("round {round} on {version}: {error}"));
        let reason = tokio::time::timeout(GENEROUS, vm.wait()).await.expect("it ends");
        assert_eq!(reason, ExitReason::Exited { code: 7 }, "round {round} on {version}");
        assert_eq!(leftovers(dir.path()), [""; 0], "round {round} on {version}");
    }
}

#[test]
fn a_vm_that_has_ended_when_it_is_started_is_told_with_its_code() {
    let dir = place(Device::Semihosting, "10.0", 7);
    let start = || {
        let code = program("start", dir.path());
        // It may just run still, and keeps its name until it has ended.
        qemuctl(&["wait", "--quiet", "end"], dir.path());
        code
    };
    let codes: Vec<_> = (0..20).map(|_| start()).collect();
    assert!(codes.iter().all(|code| matches!(code, Some(0 | 7))), "{codes:?}");
}
