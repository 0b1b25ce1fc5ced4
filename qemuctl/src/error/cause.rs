//! What kept QEMU from starting, read from its own words.

use std::fmt;
use std::io;

/// The class of a failed start. QEMU's own words are in the error beside it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// `/dev/kvm` may not be used.
    KvmPermission,
    /// The host has no KVM, or the accelerator is not built in.
    AcceleratorMissing,
    /// Another process holds a lock on a disk image.
    DiskLocked,
    /// A disk image is not in the format that the config names.
    ImageFormat,
    /// The secret of an encrypted image is wrong.
    WrongSecret,
    /// A port or socket is in use.
    AddressInUse,
    /// A file may not be read or written.
    PermissionDenied,
    /// The firmware was not found or does not fit.
    MissingFirmware,
    /// A file is not there.
    NoSuchFile,
    /// The host has no memory left for the guest.
    OutOfMemory,
    /// The file system is full.
    NoSpace,
    /// This QEMU does not have the machine type.
    UnknownMachine,
    /// This QEMU does not have the CPU model.
    UnknownCpu,
    /// This QEMU does not have the device.
    UnknownDevice,
    /// A device does not have the property, or refuses its value.
    BadProperty,
    /// This QEMU does not have the option, or the option does not have the parameter.
    UnknownOption,
    /// A device's address is taken or not possible.
    PciAddress,
    /// A connection to a server (NBD, iSCSI, …) failed.
    ConnectionFailed,
    /// A server showed a certificate or key that is not trusted.
    Untrusted,
    /// A server did not accept the name, password or key it was given.
    NotAuthenticated,
    /// QEMU's driver for the disk's backend is not installed.
    MissingDriver,
    /// A file that should be a device of the host is none.
    BadDevice,
    /// A shared library or module is missing.
    MissingLibrary,
    /// QEMU aborted: a defect of QEMU.
    QemuBug,
    /// QEMU was killed by a signal.
    Killed,
    /// QEMU did not answer in time.
    Timeout,
    /// The command line, or one text in it, is longer than the system lets a program have.
    CommandTooLong,
    /// A limit of the host is reached: open files, processes.
    HostLimit,
    /// The system has refused what comes before QEMU's start: a file, a pipe, a process.
    Host,
    /// The program is not there or cannot be run.
    NotExecutable,
    /// The program ran and ended without an error: it is no QEMU, or an option made it print help.
    NotQemu,
    /// The program is a wrapper that has QEMU as its child: whatever ends the wrapper leaves QEMU behind.
    Wrapped,
    /// QEMU has other privileges than this process, so that the kernel would not end it with this process.
    Untied,
    /// Something else; see the lines that QEMU printed.
    Other,
}

/// Words of QEMU 7.2 to 11.1, most telling first: a later line is often a consequence of an earlier one.
const WORDS: &[(&[&str], Cause)] = &[
    (&["Could not access KVM kernel module: Permission denied"], Cause::KvmPermission),
    (&["failed to initialize kvm: Permission denied"], Cause::KvmPermission),
    (&["Could not access KVM kernel module"], Cause::AcceleratorMissing),
    (&["invalid accelerator"], Cause::AcceleratorMissing),
    (&["requires KVM or HVF"], Cause::AcceleratorMissing),
    (&["failed to initialize kvm"], Cause::AcceleratorMissing),
    (&["Failed to get ", " lock"], Cause::DiskLocked),
    (&["Is another process using the image"], Cause::DiskLocked),
    (&["Image is not in "], Cause::ImageFormat),
    (&["Could not read image"], Cause::ImageFormat),
    (&["cannot unlock any keyslot"], Cause::WrongSecret),
    (&["Authentication failure"], Cause::NotAuthenticated),
    (&["failed to authenticate using"], Cause::NotAuthenticated),
    (&["The requested URL returned error: 401"], Cause::NotAuthenticated),
    // A Ceph of which the user's key is not known.
    (&["error connecting: Permission denied"], Cause::NotAuthenticated),
    (&["The certificate hasn't got a known issuer"], Cause::Untrusted),
    (&["Certificate does not match the hostname"], Cause::Untrusted),
    (&["server certificate verification failed"], Cause::Untrusted),
    (&["server verification failed"], Cause::Untrusted),
    (&["SSL certificate problem"], Cause::Untrusted),
    (&["SSL certificate verification failed"], Cause::Untrusted),
    (&["does not match host_key_check"], Cause::Untrusted),
    (&["no host key was found in known_hosts"], Cause::Untrusted),
    (&["host key does not match the one in known_hosts"], Cause::Untrusted),
    (&["driver requires '", " device"], Cause::BadDevice),
    (&["Address already in use"], Cause::AddressInUse),
    (&["Could not set up host forwarding rule"], Cause::AddressInUse),
    (&["could not load PC BIOS"], Cause::MissingFirmware),
    (&["Could not find ROM image"], Cause::MissingFirmware),
    (&["Could not load MIPS bios"], Cause::MissingFirmware),
    (&["system firmware block device", "has invalid size"], Cause::MissingFirmware),
    (&["device requires ", " bytes, block backend provides"], Cause::MissingFirmware),
    (&["cannot set up guest memory"], Cause::OutOfMemory),
    (&["Cannot allocate memory"], Cause::OutOfMemory),
    (&["No space left on device"], Cause::NoSpace),
    (&["error while loading shared libraries"], Cause::MissingLibrary),
    (&["Unknown driver '"], Cause::MissingDriver),
    (&["do you want to install qemu-block-extra"], Cause::MissingDriver),
    (&["unsupported machine type"], Cause::UnknownMachine),
    (&["No machine specified"], Cause::UnknownMachine),
    (&["unable to find CPU model"], Cause::UnknownCpu),
    (&["is not a valid device model name"], Cause::UnknownDevice),
    (&["PCI: slot "], Cause::PciAddress),
    (&["PCI: no slot"], Cause::PciAddress),
    (&["PCI: single function device"], Cause::PciAddress),
    (&["Bus '", "' not found"], Cause::PciAddress),
    (&["Property '"], Cause::BadProperty),
    (&["Invalid qdev ID"], Cause::BadProperty),
    (&["invalid option"], Cause::UnknownOption),
    (&["Invalid parameter"], Cause::UnknownOption),
    (&["is unexpected"], Cause::UnknownOption),
    (&["No such file or directory"], Cause::NoSuchFile),
    (&["Permission denied"], Cause::PermissionDenied),
    (&["Operation not permitted"], Cause::PermissionDenied),
    (&["Read-only file system"], Cause::PermissionDenied),
    (&["TLS negotiation required"], Cause::ConnectionFailed),
    (&["Requested export not available"], Cause::ConnectionFailed),
    (&["Failed to connect to"], Cause::ConnectionFailed),
    (&["Connection refused"], Cause::ConnectionFailed),
    (&["Assertion `"], Cause::QemuBug),
];

impl Cause {
    /// Finds the class in what QEMU printed; the first line that is known decides.
    pub(crate) fn from_words<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        lines.into_iter().filter(|line| !is_remark(line)).find_map(|line| {
            WORDS
                .iter()
                .find(|(words, _)| words.iter().all(|word| line.contains(word)))
                .map(|(_, cause)| *cause)
        })
    }

    /// The class of a start that the system refused, before QEMU had a word.
    pub(crate) fn of_io(error: &io::Error) -> Self {
        use nix::errno::Errno::{EAGAIN, EMFILE, ENFILE};
        let limits = [EAGAIN, EMFILE, ENFILE];
        match error.kind() {
            io::ErrorKind::ArgumentListTooLong => Self::CommandTooLong,
            io::ErrorKind::OutOfMemory => Self::OutOfMemory,
            io::ErrorKind::StorageFull | io::ErrorKind::QuotaExceeded => Self::NoSpace,
            _ if limits.iter().any(|&limit| error.raw_os_error() == Some(limit as i32)) => Self::HostLimit,
            _ => Self::Host,
        }
    }

    /// The class of a QEMU that a signal ended without a word.
    pub(crate) fn of_signal(number: i32) -> Self {
        use nix::sys::signal::Signal::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
        let faults = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP];
        if faults.iter().any(|&fault| fault as i32 == number) { Self::QemuBug } else { Self::Killed }
    }

    /// What to do about it, where that can be said in general.
    pub fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::KvmPermission => {
                "join the group that owns /dev/kvm (usually `kvm`), or set `accel = \"tcg\"`"
            }
            Self::AcceleratorMissing => "set `accel = \"tcg\"`, or `auto` to use what works",
            Self::DiskLocked => {
                "another VM or tool has the image open: stop it, or open the disk read-only in both"
            }
            Self::ImageFormat => "name the image's real format in the disk's `format`",
            Self::AddressInUse => "choose another port, or port 0 for any that is free",
            Self::MissingFirmware => "install the firmware package for this architecture (such as ovmf)",
            Self::OutOfMemory => "give the guest less memory",
            Self::UnknownMachine | Self::UnknownCpu | Self::UnknownDevice => {
                "choose one that this QEMU has, or install the package that brings it"
            }
            Self::MissingDriver => "install QEMU's further block drivers (Debian's package qemu-block-extra)",
            Self::Untrusted => {
                "check the host's name, and the authority or fingerprint that the config trusts"
            }
            Self::NotAuthenticated => "check the user, and the secret or key that the config names",
            Self::Timeout => "raise the deadline in the launch options if the host is slow",
            Self::CommandTooLong => "put long texts into files, such as `file` of `fw_cfg`",
            Self::HostLimit => "raise the limit; `ulimit -a` shows them",
            Self::Wrapped => "start QEMU with `exec` in the wrapper: `exec qemu-system-x86_64 \"$@\"`",
            Self::Untied => {
                "run QEMU without file capabilities, set-user-ID and -runas, or start the VM detached (`qemuctl start`)"
            }
            Self::NotExecutable => "install QEMU for this architecture, or name its program in `qemu`",
            _ => return None,
        })
    }
}

/// Whether a line says something, but not what went wrong.
fn is_remark(line: &str) -> bool {
    line.contains("warning: ") || line.contains("info: ") || line.contains("falling back to tcg")
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KvmPermission => "no permission to use KVM",
            Self::AcceleratorMissing => "the accelerator is not available",
            Self::DiskLocked => "a disk image is locked by another process",
            Self::ImageFormat => "a disk image has another format",
            Self::WrongSecret => "the secret of an encrypted image is wrong",
            Self::AddressInUse => "an address is already in use",
            Self::PermissionDenied => "permission denied",
            Self::MissingFirmware => "firmware is missing or does not fit",
            Self::NoSuchFile => "a file is missing",
            Self::OutOfMemory => "out of memory",
            Self::NoSpace => "no space left",
            Self::UnknownMachine => "unknown machine type",
            Self::UnknownCpu => "unknown CPU model",
            Self::UnknownDevice => "unknown device",
            Self::BadProperty => "bad device property",
            Self::UnknownOption => "unknown option",
            Self::PciAddress => "a device's address is not possible",
            Self::ConnectionFailed => "a connection failed",
            Self::Untrusted => "a server is not trusted",
            Self::NotAuthenticated => "a server did not accept the credentials",
            Self::MissingDriver => "a driver of QEMU is not installed",
            Self::BadDevice => "a file is no such device",
            Self::MissingLibrary => "a shared library is missing",
            Self::QemuBug => "QEMU met a defect of its own",
            Self::Killed => "QEMU was killed",
            Self::Timeout => "no answer in time",
            Self::CommandTooLong => "the command line is too long",
            Self::HostLimit => "a limit of the host is reached",
            Self::Host => "the system refused",
            Self::NotExecutable => "the program cannot be run",
            Self::NotQemu => "the program ended without starting a VM",
            Self::Wrapped => "the program is a wrapper that does not become QEMU",
            Self::Untied => "QEMU would outlive this process",
            Self::Other => "QEMU refused to start",
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn qemus_words_name_the_cause() {
        let said = [
            "Could not access KVM kernel module: Permission denied",
            "qemu-system-x86_64: -accel kvm: failed to initialize kvm: No such file or directory",
            "qemu-system-x86_64: -device virtio-blk-pci,drive=d: Failed to get \"write\" lock",
            "qemu-system-x86_64: -blockdev {}: Failed to get shared \"write\" lock",
            "qemu-system-x86_64: -blockdev {}: Could not open '/nope.raw': No such file or directory",
            "qemu-system-x86_64: -blockdev {}: Image is not in qcow2 format",
            "qemu-system-x86_64: -vnc 127.0.0.1:1: Failed to find an available port: Address already in use",
            "qemu: could not load PC BIOS '/nope.bin'",
            "qemu-system-x86_64: cannot set up guest memory 'pc.ram': Cannot allocate memory",
            "qemu-system-x86_64: -device foo: 'foo' is not a valid device model name",
            "qemu-system-x86_64: unsupported machine type: \"foo\"",
            "qemu-system-x86_64: -foo: invalid option",
            "qemu-system-x86_64: PCI: slot 3 function 0 not available for X, in use by Y,id=Z",
            "qemu-system-x86_64: ../target/i386: Assertion `ret == 1' failed.",
            "qemu: module block-block-ssh not found, do you want to install qemu-block-extra package?",
            "qemu-system-x86_64: -blockdev {}: The certificate hasn't got a known issuer",
            "qemu-system-x86_64: -blockdev {}: iSCSI: Failed to connect to LUN : Failed to log in to target. Status: Authentication failure(513)",
            "qemu-system-x86_64: -blockdev {}: error connecting: Permission denied",
            "something never heard before",
        ];
        let causes = said.map(|line| format!("{:?}", Cause::from_words([line])));
        insta::assert_snapshot!(causes.join("\n"), @r#"
Some(KvmPermission)
Some(AcceleratorMissing)
Some(DiskLocked)
Some(DiskLocked)
Some(NoSuchFile)
Some(ImageFormat)
Some(AddressInUse)
Some(MissingFirmware)
Some(OutOfMemory)
Some(UnknownDevice)
Some(UnknownMachine)
Some(UnknownOption)
Some(PciAddress)
Some(QemuBug)
Some(MissingDriver)
Some(Untrusted)
Some(NotAuthenticated)
Some(NotAuthenticated)
None
"#);
    }

    #[test]
    fn a_warning_is_not_the_cause() {
        let lines = [
            "qemu-system-x86_64: warning: host doesn't support requested feature: Permission denied",
            "qemu-system-x86_64: -device foo: 'foo' is not a valid device model name",
        ];
        assert_eq!(Cause::from_words(lines), Some(Cause::UnknownDevice));
    }
}
