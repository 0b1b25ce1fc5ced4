//! Why QEMU did not start, derived from its own output.

use std::fmt;
use std::io;

/// The class of a failed start. The error also has QEMU's own output.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Cause {
    /// No permission to use `/dev/kvm`.
    KvmPermission,
    /// The host has no KVM, or the accelerator is not built in.
    AcceleratorMissing,
    /// Another process holds a lock on a disk image.
    DiskLocked,
    /// A disk image is not in the format that the config names.
    ImageFormat,
    /// The key of an encrypted image is wrong.
    WrongSecret,
    /// A port or socket is in use.
    AddressInUse,
    /// No permission to read or write a file.
    PermissionDenied,
    /// The firmware was not found or does not fit.
    MissingFirmware,
    /// A file does not exist.
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
    /// A device does not have the property, or rejects its value.
    BadProperty,
    /// This QEMU does not have the option, or the option does not have the parameter.
    UnknownOption,
    /// A device's address is taken or invalid.
    PciAddress,
    /// A connection to a server (NBD, iSCSI, …) failed.
    ConnectionFailed,
    /// A server presented a certificate or key that is not trusted.
    Untrusted,
    /// A server rejected the user, password or key.
    NotAuthenticated,
    /// QEMU's driver for the disk's backend is not installed.
    MissingDriver,
    /// A file is not the expected kind of host device.
    BadDevice,
    /// A shared library or module is missing.
    MissingLibrary,
    /// QEMU aborted because of an internal bug.
    QemuBug,
    /// QEMU was killed by a signal.
    Killed,
    /// QEMU did not answer in time.
    Timeout,
    /// The command line, or one argument of it, is longer than the system allows.
    CommandTooLong,
    /// A limit of the host was reached, such as open files or processes.
    HostLimit,
    /// The system refused something needed to start QEMU: a file, a pipe, a process.
    Host,
    /// The program does not exist or cannot be executed.
    NotExecutable,
    /// The program exited without an error: it is not QEMU, or an option made it print help.
    NotQemu,
    /// The program is a wrapper that runs QEMU as its child, so ending the wrapper would leave QEMU behind.
    Wrapped,
    /// QEMU's privileges differ from this process's, so the kernel would not end it together with this process.
    Untied,
    /// Something else; see QEMU's output.
    Other,
}

/// Messages of QEMU 7.2 to 11.1, the most specific first: a later line is often a consequence of an earlier one.
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
    // Printed for Ceph if the user's key is wrong.
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
    /// Determines the class from QEMU's output; the first known line decides.
    pub(crate) fn from_words<'a>(lines: impl IntoIterator<Item = &'a str>) -> Option<Self> {
        lines.into_iter().filter(|line| !is_remark(line)).find_map(|line| {
            WORDS
                .iter()
                .find(|(words, _)| words.iter().all(|word| line.contains(word)))
                .map(|(_, cause)| *cause)
        })
    }

    /// Determines the class of a start that the system refused before QEMU ran.
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

    /// Determines the class of a QEMU that was ended by a signal without output.
    pub(crate) fn of_signal(number: i32) -> Self {
        use nix::sys::signal::Signal::{SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP};
        let faults = [SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGSEGV, SIGSYS, SIGTRAP];
        if faults.iter().any(|&fault| fault as i32 == number) { Self::QemuBug } else { Self::Killed }
    }

    /// Returns advice, if there is any for the class.
    pub fn advice(self) -> Option<&'static str> {
        Some(match self {
            Self::KvmPermission => {
                "join the group that owns /dev/kvm (usually `kvm`), or set `accel = \"tcg\"`"
            }
            Self::AcceleratorMissing => "set `accel = \"tcg\"`, or `auto` to use what works",
            Self::DiskLocked => {
                "stop the other VM or tool that uses the image, or open the image read-only in both"
            }
            Self::ImageFormat => "set the disk's `format` to the image's actual format",
            Self::AddressInUse => "choose another port, or port 0 for any free one",
            Self::MissingFirmware => "install the firmware package for this architecture (such as ovmf)",
            Self::OutOfMemory => "give the guest less memory",
            Self::UnknownMachine | Self::UnknownCpu | Self::UnknownDevice => {
                "choose one that this QEMU supports, or install the package that provides it"
            }
            Self::MissingDriver => {
                "install QEMU's additional block drivers (package qemu-block-extra on Debian)"
            }
            Self::Untrusted => {
                "check the host name, and the certificate authority or fingerprint in the config"
            }
            Self::NotAuthenticated => "check the user, and the secret or key in the config",
            Self::Timeout => "raise the timeout in the launch options if the host is slow",
            Self::CommandTooLong => "move long texts into files, for example with `file` in `fw_cfg`",
            Self::HostLimit => "raise the limit; `ulimit -a` lists the current ones",
            Self::Wrapped => "start QEMU with `exec` in the wrapper: `exec qemu-system-x86_64 \"$@\"`",
            Self::Untied => {
                "run QEMU without file capabilities, set-user-ID and -runas, or start the VM detached (`qemuctl start`)"
            }
            Self::NotExecutable => "install QEMU for this architecture, or set its path in `qemu`",
            _ => return None,
        })
    }
}

/// Whether a line is only informational.
fn is_remark(line: &str) -> bool {
    line.contains("warning: ") || line.contains("info: ") || line.contains("falling back to tcg")
}

impl fmt::Display for Cause {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::KvmPermission => "no permission to use KVM",
            Self::AcceleratorMissing => "the accelerator is not available",
            Self::DiskLocked => "a disk image is in use by another process",
            Self::ImageFormat => "a disk image has a different format",
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
            Self::PciAddress => "invalid device address",
            Self::ConnectionFailed => "a connection failed",
            Self::Untrusted => "a server is not trusted",
            Self::NotAuthenticated => "a server rejected the credentials",
            Self::MissingDriver => "a QEMU driver is not installed",
            Self::BadDevice => "a file is not the expected kind of device",
            Self::MissingLibrary => "a shared library is missing",
            Self::QemuBug => "QEMU hit an internal bug",
            Self::Killed => "QEMU was killed",
            Self::Timeout => "no answer in time",
            Self::CommandTooLong => "the command line is too long",
            Self::HostLimit => "a limit of the host was reached",
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
