//! Debugging: `-gdb`, `-d`, `-D` and `-semihosting-config`.

use super::chardev;
use crate::config::{CharBackend, Debug, Semihosting, SemihostingTarget, SocketChardev, VmConfig};
use crate::planner::at::At;
use crate::planner::builder::Builder;
use crate::qemu_target::Arch;
use crate::value::Props;

/// The character device of the debugger.
const GDB: &str = "gdb0";

pub(super) fn debug(builder: &mut Builder<'_>, config: &VmConfig) {
    let at = At::section("debug");
    let Debug { gdb, log, log_file, semihosting, message_timestamps, .. } = &config.debug;
    if let Some(address) = gdb {
        let backend =
            CharBackend::Socket(SocketChardev { server: true, ..SocketChardev::new(address.clone()) });
        chardev::add(builder, at.field("gdb"), GDB, &backend, None);
        builder.plain(at.field("gdb"), "-gdb", format!("chardev:{GDB}"));
    }
    for (index, word) in log.iter().enumerate() {
        let good = |byte: u8| byte.is_ascii_alphanumeric() || b"_:*-.".contains(&byte);
        if word.is_empty() || !word.bytes().all(good) || matches!(word.as_str(), "help" | "?") {
            builder.invalid(at.item("log", index), word, "is not a valid item of QEMU's log");
        }
    }
    if !log.is_empty() {
        builder.plain(at.field("log"), "-d", log.join(","));
    }
    if let Some(path) = log_file {
        if log.is_empty() {
            builder.conflict(at.field("log_file"), "`log_file` requires `log`");
        }
        let path = builder.raw_path(at.field("log_file"), path);
        builder.plain(at.field("log_file"), "-D", path);
    }
    if *message_timestamps {
        builder.option(at.field("message_timestamps"), "-msg", Props::new().with("timestamp", true));
    }
    if let Some(semihosting) = semihosting {
        semihosted(builder, at, semihosting);
    }
}

fn semihosted(builder: &mut Builder<'_>, at: At<'_>, semihosting: &Semihosting) {
    let at = at.field("semihosting");
    let has_calls = matches!(
        builder.target.arch,
        Arch::Aarch64
            | Arch::Arm
            | Arch::Riscv64
            | Arch::Riscv32
            | Arch::Mips
            | Arch::Mipsel
            | Arch::Mips64
            | Arch::Mips64el
            | Arch::M68k
            | Arch::Xtensa
            | Arch::Xtensaeb
    );
    if !has_calls {
        builder.not_here(at, "semihosting", "");
    }
    let target = match semihosting.target {
        SemihostingTarget::Auto => "auto",
        SemihostingTarget::Native => "native",
        SemihostingTarget::Gdb => "gdb",
    };
    let mut props = Props::new().with("enable", true).with("target", target);
    if let Some(id) = &semihosting.chardev {
        builder.chardev_of_list(at.field("chardev"), "character device", id);
        props.set("chardev", id);
    }
    if semihosting.userspace {
        props.set("userspace", true);
    }
    for word in &semihosting.args {
        props.repeat("arg", word);
    }
    builder.option(at, "-semihosting-config", props);
}
