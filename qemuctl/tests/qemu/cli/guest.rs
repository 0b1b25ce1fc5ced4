//! Guests as files: the program is given images and texts, not configs in Rust.

use crate::support::{guest_file, qemu};

/// Says `R`, waits for the power button, powers off.
pub const OBEDIENT: &[u8] = &[
    0xba, 0x02, 0x06, 0xb8, 0x00, 0x01, 0xef, 0xfb, 0xf4, 0xba, 0x00, 0x06, 0xed, 0xf6, 0xc4, 0x01, 0x74,
    0xf5, 0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4, 0xeb, 0xfd,
];
/// Says `R` and powers off.
pub const POWER_OFF: &[u8] = &[0xba, 0x04, 0x06, 0xb8, 0x00, 0x20, 0xef, 0xf4, 0xeb, 0xfd];
/// Says `R` and halts for ever.
pub const DEAF: &[u8] = &[0xfa, 0xf4, 0xeb, 0xfd];

/// A disk of 1 MiB that runs `code` after it has said `R` on the serial console.
pub fn disk(code: &[u8]) -> Vec<u8> {
    let mut disk = vec![0; 1 << 20];
    // mov al,'R'; mov dx,0x3f8; out dx,al; mov al,'\n'; out dx,al
    let start = [0xb0, b'R', 0xba, 0xf8, 0x03, 0xee, 0xb0, b'\n', 0xee];
    disk[..start.len()].copy_from_slice(&start);
    disk[start.len()..start.len() + code.len()].copy_from_slice(code);
    disk[510..512].copy_from_slice(&[0x55, 0xaa]);
    disk
}

/// A config file for a VM of that name on the image `guest.raw` beside it.
pub fn config(name: &str) -> String {
    let qemu = qemu("10.0", "qemu-system-x86_64");
    format!(
        "name = \"{name}\"\nqemu = \"{}\"\narch = \"x86_64\"\nmemory = \"64MiB\"\ndisks = [\"guest.raw\"]\n\
         extra_args = [\"-display\", \"none\"]\n\n[machine]\naccel = \"tcg\"\n",
        qemu.display()
    )
}

/// A config for a Linux guest with an agent.
pub fn linux(name: &str) -> String {
    let file = |file| guest_file("x86_64", file).display().to_string();
    format!(
        "name = \"{name}\"\nqemu = \"{}\"\narch = \"x86_64\"\nmemory = \"512MiB\"\nguest_agent = true\n\
         [machine]\naccel = \"tcg\"\n[boot]\nkernel = \"{}\"\ninitrd = \"{}\"\nappend = \"console=ttyS0\"\n",
        qemu("10.0", "qemu-system-x86_64").display(),
        file("vmlinuz"),
        file("initramfs"),
    )
}
