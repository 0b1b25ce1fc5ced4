//! Which of QEMU's options stand alone.

/// The options of `qemu-system-*` that take no argument, in QEMU 7.2 to 11.1 and releases before them, without dashes and sorted. Every
/// other option takes the next argument, whatever that looks like.
pub const FLAG_OPTIONS: &[&str] = &[
    "S",
    "alt-grab",
    "async-teardown",
    "audio-help",
    "ctrl-grab",
    "curses",
    "daemonize",
    "enable-fips",
    "enable-kvm",
    "enable-sync-profile",
    "full-screen",
    "h",
    "help",
    "jitdump",
    "mem-prealloc",
    "no-acpi",
    "no-fd-bootchk",
    "no-frame",
    "no-hpet",
    "no-kvm",
    "no-quit",
    "no-reboot",
    "no-shutdown",
    "no-user-config",
    "nodefaults",
    "nodefconfig",
    "nographic",
    "nouserconfig",
    "old-param",
    "one-insn-per-tb",
    "only-migratable",
    "perfmap",
    "portrait",
    "preconfig",
    "s",
    "semihosting",
    "show-cursor",
    "singlestep",
    "snapshot",
    "usb",
    "version",
    "win2k-hack",
    "xen-attach",
    "xen-domid-restrict",
];

#[cfg(test)]
mod tests {
    use super::FLAG_OPTIONS;

    #[test]
    fn they_are_sorted() {
        assert!(FLAG_OPTIONS.is_sorted());
    }
}
