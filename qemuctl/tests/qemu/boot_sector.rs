//! Guests of one sector: they say `R` on the first serial port and then do one thing. Ready in 0.1 s under TCG.

use std::path::{Path, PathBuf};

use qemuctl::{
    VmConfig,
    config::{AccelChoice, Arch, BlockFormat, Disk, DiskInterface, Machine, Memory, Size},
};

/// The folder of the guests' images, in the directory of a test.
const IMAGES: &str = "images";

/// What the guest does after it has said `R`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Guest {
    /// Waits for the power button, then powers off.
    Obedient,
    /// Halts with interrupts off, whatever happens.
    Deaf,
    /// Powers off at once.
    PowerOff,
    /// Reboots at once, by the keyboard controller.
    Reboot,
    /// Tells the `pvpanic` device that its kernel has panicked.
    Panic,
    /// Resets by a triple fault.
    TripleFault,
    /// Prints every character that the keyboard types on the first serial port.
    Typist,
    /// Writes to its first disk, from the second sector on, for ever.
    Writer,
    /// Goes to sleep (ACPI S3).
    Sleeper,
    /// Lets the watchdog `ib700` run out at once.
    Watched,
    /// Ends QEMU by the device `isa-debug-exit` at 0x501, with the value 7.
    DebugExit,
}

impl Guest {
    /// What it does before it says `R`.
    fn setup(self) -> &'static [u8] {
        match self {
            // Nobody hears a power button that is not enabled yet.
            Self::Obedient => &[0xba, 0x02, 0x06, 0xb8, 0x00, 0x01, 0xef],
            _ => &[],
        }
    }

    fn code(self) -> &'static [u8] {
        match self {
            Self::Obedient => &[
                0xfb, 0xf4, 0xba, 0x00, 0x06, 0xed, 0xf6, 0xc4, 0x01, 0x74, 0xf5, 0xba, 0x04, 0x06, 0xb8,
                0x00, 0x20, 0xef, 0xf4, 0xeb, 0xfd,
            ],
            Self::Deaf => &[0xfa, 0xf4, 0xeb, 0xfd],
            Self::PowerOff => &[0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4, 0xeb, 0xfd],
            Self::Reboot => &[0xba, 0x64, 0x00, 0xb0, 0xfe, 0xee, 0xf4, 0xeb, 0xfd],
            Self::Panic => &[0xba, 0x05, 0x05, 0xb0, 0x01, 0xee, 0xf4, 0xeb, 0xfd],
            // A packet for BIOS call 13h/43h: 64 sectors from 8000h; the next 64 after each call.
            Self::Writer => &[
                0x31, 0xc0, 0x8e, 0xd8, 0xbe, 0x24, 0x7c, 0xb4, 0x43, 0xb0, 0x00, 0xb2, 0x80, 0xcd, 0x13,
                0x66, 0x83, 0x06, 0x2c, 0x7c, 0x40, 0xeb, 0xf0, 0x90, 0x90, 0x90, 0x90, 0x10, 0x00, 0x40,
                0x00, 0x00, 0x80, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00, 0x00,
            ],
            Self::Sleeper => &[0xba, 0x04, 0x06, 0xb8, 0x00, 0x24, 0xef, 0xf4, 0xeb, 0xfd],
            Self::Watched => &[0xba, 0x43, 0x04, 0xb0, 0x0f, 0xee, 0xf4, 0xeb, 0xfd],
            Self::DebugExit => &[0xba, 0x01, 0x05, 0xb0, 0x07, 0xee, 0xf4, 0xeb, 0xfd],
            // An empty table of interrupts (lidt), then an interrupt.
            // xor ah,ah; int 0x16 (waits for a key); mov dx,0x3f8; out dx,al; and again.
            Self::Typist => &[0xfb, 0x30, 0xe4, 0xcd, 0x16, 0xba, 0xf8, 0x03, 0xee, 0xeb, 0xf6],
            Self::TripleFault => &[0x0f, 0x01, 0x1e, 0x00, 0x7d, 0xcd, 0x03, 0xf4, 0xeb, 0xfd],
        }
    }

    /// Writes the guest's disk, 1 MiB, below `dir`.
    pub fn image(self, dir: &Path) -> PathBuf {
        let mut disk = vec![0; 1 << 20];
        // mov al,'R'; mov dx,0x3f8; out dx,al; mov al,'\n'; out dx,al
        let ready = [0xb0, b'R', 0xba, 0xf8, 0x03, 0xee, 0xb0, b'\n', 0xee];
        let code = [self.setup(), &ready, self.code()].concat();
        disk[..code.len()].copy_from_slice(&code);
        disk[510..512].copy_from_slice(&[0x55, 0xaa]);
        let images = dir.join(IMAGES);
        std::fs::create_dir_all(&images).expect("a directory");
        let path = images.join(format!("{self:?}"));
        std::fs::write(&path, disk).expect("the image is written");
        path
    }

    /// A VM that runs the guest on a QEMU, with everything it leaves in `dir`.
    pub fn config(self, qemu: &Path, dir: &Path, name: &str) -> VmConfig {
        let disk = Disk {
            format: Some(BlockFormat::Raw),
            interface: DiskInterface::Ide,
            ..Disk::file(self.image(dir))
        };
        VmConfig {
            name: Some(name.into()),
            qemu: Some(qemu.into()),
            socket_dir: Some(dir.into()),
            arch: Some(Arch::X86_64),
            machine: Machine { kind: Some("pc".into()), accel: AccelChoice::Tcg, ..Machine::default() },
            memory: Memory::new(Size::mib(32)),
            disks: vec![disk],
            ..VmConfig::default()
        }
    }
}

/// What is in the directory besides the guests' images, and the plan that a detached VM keeps.
pub fn leftovers(dir: &Path) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(dir)
        .expect("readable")
        .map(|entry| entry.expect("readable").file_name().to_string_lossy().into_owned())
        .filter(|name| name != IMAGES && !name.ends_with(".plan.json"))
        .collect();
    names.sort();
    names
}
