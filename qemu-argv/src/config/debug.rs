//! What debuggers and those who write operating systems need of QEMU.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::{Icount, Plugin, SocketAddress, flexible};

/// Debugging of the guest.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Debug {
    /// Where QEMU listens for a debugger that speaks GDB's remote protocol (`-gdb`). Whoever can connect controls the guest, so
    /// prefer a Unix socket in a private directory. In config files, may be given as `HOST:PORT` or an absolute path. The guest
    /// waits for the debugger if the machine is `paused`. Defaults to none.
    #[serde(deserialize_with = "flexible::optional")]
    pub gdb: Option<SocketAddress>,
    /// What QEMU logs, in the words of its option `-d`, such as `int`, `cpu_reset`, `guest_errors` or `trace:virtio_*`. Defaults to
    /// nothing.
    pub log: Vec<String>,
    /// The file of the log (`-D`). Defaults to QEMU's standard error.
    pub log_file: Option<PathBuf>,
    /// Calls from the guest to its debugger or its host, on Arm, RISC-V, MIPS, m68k and Xtensa under TCG. Defaults to none.
    pub semihosting: Option<Semihosting>,
    /// Virtual time by the number of executed instructions, and recordings. Defaults to real time.
    pub icount: Option<Icount>,
    /// TCG plugins. In config files, an entry may be just a path.
    #[serde(deserialize_with = "flexible::list")]
    pub plugins: Vec<Plugin>,
    /// The name of the process as `ps` and `top` show it (`-name process=`). Defaults to the program's.
    pub process_name: Option<String>,
    /// Whether QEMU's threads get names, such as `CPU 0/KVM` (`-name debug-threads=`; QEMU 10.1 or later always names them). Defaults to
    /// QEMU's default.
    pub thread_names: Option<bool>,
    /// Whether each message of QEMU starts with the time (`-msg timestamp=`). Defaults to false.
    pub message_timestamps: bool,
}

/// Calls from the guest to its debugger or its host (`-semihosting-config`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(deny_unknown_fields, default)]
pub struct Semihosting {
    /// Who answers the calls.
    pub target: SemihostingTarget,
    /// The id of the character device of the guest's console. Defaults to QEMU's standard error.
    pub chardev: Option<String>,
    /// The command line of the guest's program, word by word.
    pub args: Vec<String>,
    /// Whether the guest's user programs can make calls, too. Defaults to false.
    pub userspace: bool,
}

/// Who answers the guest's calls.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[cfg_attr(feature = "schema", derive(schemars::JsonSchema))]
#[serde(rename_all = "kebab-case")]
#[non_exhaustive]
pub enum SemihostingTarget {
    /// The debugger while one is connected, else QEMU.
    #[default]
    Auto,
    /// QEMU itself: the guest can open the host's files with QEMU's rights.
    Native,
    /// The debugger.
    Gdb,
}
