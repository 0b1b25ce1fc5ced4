//! Checks `/dev/kvm`: existence, permissions and API version.
//!
//! That it can be opened does not mean that guests run; see [`trial`](super::trial).

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::MetadataExt;

use nix::errno::Errno;
use nix::unistd::{Gid, Group, Uid, User};
use qemu_argv::Arch;

use crate::{Obstacle, Places};

/// The version of the KVM API since Linux 2.6.22; the kernel promises to keep it.
const API_VERSION: i32 = 12;

/// What tells one `/dev/kvm` from another: the node, the loaded modules and the kernel.
#[derive(Clone, Debug, PartialEq, Eq, serde::Serialize, serde::Deserialize)]
pub(crate) struct Identity {
    node: (u64, u64, i64, i64),
    modules: Vec<String>,
    kernel: String,
    boot_id: String,
}

impl Identity {
    pub(crate) fn of(places: &Places) -> Self {
        let node = places.at("/dev/kvm").metadata().map_or((0, 0, 0, 0), |metadata| {
            (metadata.ino(), metadata.rdev(), metadata.ctime(), metadata.ctime_nsec())
        });
        let line = |path| places.text(path).unwrap_or_default().trim().to_owned();
        Self {
            node,
            modules: modules(places),
            kernel: line("/proc/sys/kernel/osrelease"),
            boot_id: line("/proc/sys/kernel/random/boot_id"),
        }
    }
}

/// Checks whether `/dev/kvm` can be used.
pub(crate) fn check(places: &Places) -> Result<(), Obstacle> {
    check_with(places, api_version)
}

fn check_with(
    places: &Places,
    api_version: impl FnOnce(&File) -> Result<i32, Errno>,
) -> Result<(), Obstacle> {
    let node = places.at("/dev/kvm");
    let opened =
        OpenOptions::new().read(true).write(true).open(&node).map_err(|error| refused(places, &error))?;
    match api_version(&opened) {
        Ok(API_VERSION) => Ok(()),
        Ok(version) => {
            Err(Obstacle::new(format!("/dev/kvm: API version {version}, QEMU requires {API_VERSION}")))
        }
        Err(Errno::ENOTTY) => Err(Obstacle::new("/dev/kvm is not KVM").remedy(
            "remove the device file and load the module kvm_intel or kvm_amd, which creates it again",
        )),
        Err(errno) => Err(Obstacle::new(format!("/dev/kvm does not answer: {}", errno.desc()))),
    }
}

fn refused(places: &Places, error: &io::Error) -> Obstacle {
    match error.raw_os_error().map(Errno::from_raw) {
        Some(Errno::EACCES | Errno::EPERM) => no_permission(places),
        Some(Errno::ENOENT) => no_node(places),
        Some(Errno::ENXIO | Errno::ENODEV) => {
            Obstacle::new("/dev/kvm: the device file exists, but the kernel has no KVM")
                .remedy(load_hint(places))
        }
        _ => Obstacle::new(format!("/dev/kvm: {error}")),
    }
}

fn no_permission(places: &Places) -> Obstacle {
    let Ok(metadata) = places.at("/dev/kvm").metadata() else {
        return Obstacle::new("/dev/kvm: permission denied");
    };
    let mode = metadata.mode() & 0o777;
    let group = group_name(places, metadata.gid());
    if mode & 0o060 == 0o060 && metadata.gid() != 0 && mode & 0o006 != 0o006 {
        let user =
            User::from_uid(Uid::effective()).ok().flatten().map_or_else(|| "USER".into(), |user| user.name);
        Obstacle::new(format!("/dev/kvm: permission denied, group {group}"))
            .remedy(format!("`sudo usermod -aG {group} {user}`, then log in again"))
    } else if mode & 0o006 == 0o006 {
        Obstacle::new(format!("/dev/kvm: permission denied despite mode {mode:04o}")).remedy(
            "a device cgroup or security module denies access; in a container, use `--device /dev/kvm`",
        )
    } else {
        let owner = user_name(places, metadata.uid());
        Obstacle::new(format!("/dev/kvm: permission denied, owner {owner}, group {group}, mode {mode:04o}"))
            .remedy(
                "as root: `groupadd -f kvm; chgrp kvm /dev/kvm; chmod 0660 /dev/kvm`, and join the group kvm",
            )
    }
}

fn no_node(places: &Places) -> Obstacle {
    let loaded = modules(places);
    let container = places.at("/.dockerenv").exists() || places.at("/run/.containerenv").exists();
    if loaded.iter().any(|module| module != "kvm" && module.starts_with("kvm")) {
        let remedy = if container {
            "start the container with `--device /dev/kvm`"
        } else {
            "`sudo mknod -m 0660 /dev/kvm c 10 232`, or let udev create it"
        };
        return Obstacle::new(format!(
            "/dev/kvm is missing, although the module {} is loaded",
            loaded.join(", ")
        ))
        .remedy(remedy);
    }
    match virtualization_flag(places) {
        Some(true) => Obstacle::new("/dev/kvm is missing: no KVM module is loaded").remedy(load_hint(places)),
        Some(false) => Obstacle::new("/dev/kvm is missing: the CPU has neither vmx nor svm").remedy(
            if places.text("/proc/cpuinfo").is_some_and(|text| flags(&text).any(|flag| flag == "hypervisor"))
            {
                "this host is itself a virtual machine; enable nested virtualization on its host"
            } else {
                "enable virtualization (VT-x, AMD-V) in the firmware setup"
            },
        ),
        None => Obstacle::new("/dev/kvm is missing").remedy(load_hint(places)),
    }
}

fn load_hint(places: &Places) -> String {
    let cpuinfo = places.text("/proc/cpuinfo").unwrap_or_default();
    let module = if flags(&cpuinfo).any(|flag| flag == "svm") {
        "kvm_amd"
    } else if flags(&cpuinfo).any(|flag| flag == "vmx") {
        "kvm_intel"
    } else {
        "kvm"
    };
    format!("`sudo modprobe {module}`")
}

/// Returns the KVM modules that are loaded or built in.
fn modules(places: &Places) -> Vec<String> {
    let mut names: Vec<String> = std::fs::read_dir(places.at("/sys/module"))
        .into_iter()
        .flatten()
        .filter_map(|entry| entry.ok()?.file_name().into_string().ok())
        .filter(|name| name == "kvm" || name.starts_with("kvm_") || name.starts_with("kvm-"))
        .collect();
    names.sort();
    names
}

/// Whether the CPU supports hardware virtualization (the flag `vmx` or `svm`). `None` if it is not an x86 CPU, or this
/// cannot be determined.
pub(crate) fn virtualization_flag(places: &Places) -> Option<bool> {
    if !matches!(Arch::host(), Some(Arch::X86_64 | Arch::I386)) {
        return None;
    }
    let cpuinfo = places.text("/proc/cpuinfo")?;
    flags(&cpuinfo).next()?;
    Some(flags(&cpuinfo).any(|flag| flag == "vmx" || flag == "svm"))
}

/// The flags of the first processor.
fn flags(cpuinfo: &str) -> impl Iterator<Item = &str> {
    let line = cpuinfo.lines().find(|line| line.starts_with("flags"));
    line.and_then(|line| line.split_once(':')).map_or("", |(_, flags)| flags).split_ascii_whitespace()
}

/// The name in the tree's own `/etc/group`, else in the system's database, else the number.
fn group_name(places: &Places, gid: u32) -> String {
    database_name(places, "/etc/group", gid)
        .or_else(|| Some(Group::from_gid(Gid::from_raw(gid)).ok()??.name))
        .unwrap_or_else(|| gid.to_string())
}

fn user_name(places: &Places, uid: u32) -> String {
    database_name(places, "/etc/passwd", uid)
        .or_else(|| Some(User::from_uid(Uid::from_raw(uid)).ok()??.name))
        .unwrap_or_else(|| uid.to_string())
}

fn database_name(places: &Places, file: &str, id: u32) -> Option<String> {
    let id = id.to_string();
    places.text(file)?.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)? == id).then(|| name.to_owned())
    })
}

// The kernel refuses this call unless its argument is 0, which `ioctl_none` would leave to chance.
nix::ioctl_write_int_bad!(kvm_get_api_version, nix::request_code_none!(0xae, 0));

#[expect(
    unsafe_code,
    reason = "no safe call exists for a device's own ioctl, and a crate for it brings all of KVM's"
)]
fn api_version(kvm: &File) -> Result<i32, Errno> {
    use std::os::fd::AsRawFd;
    // SAFETY: KVM_GET_API_VERSION takes no pointer and writes to no memory of ours; the descriptor is open for as long
    // as `kvm` is borrowed. A file that is not KVM answers ENOTTY.
    unsafe { kvm_get_api_version(kvm.as_raw_fd(), 0) }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    const INTEL: &str = "processor\t: 0\nflags\t\t: fpu vme vmx hypervisor\n";
    const NO_FLAG: &str = "processor\t: 0\nflags\t\t: fpu vme\n";
    const GUEST: &str = "processor\t: 0\nflags\t\t: fpu hypervisor lm\n";

    struct Tree(#[expect(dead_code, reason = "removes the tree when dropped")] tempfile::TempDir, Places);

    impl Tree {
        fn new() -> Self {
            let dir = tempfile::tempdir().unwrap();
            let places = Places::below(dir.path());
            Self(dir, places)
        }

        fn file(self, path: &str, text: &str) -> Self {
            let path = self.1.at(path);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
            self
        }

        fn module(self, name: &str) -> Self {
            fs::create_dir_all(self.1.at(format!("/sys/module/{name}"))).unwrap();
            self
        }

        fn verdict(&self) -> String {
            check(&self.1).err().map_or_else(|| "usable".into(), |obstacle| obstacle.to_string())
        }
    }

    #[cfg(target_arch = "x86_64")]
    #[test]
    fn a_missing_node_is_explained() {
        insta::assert_snapshot!([
            Tree::new().verdict(),
            Tree::new().file("/proc/cpuinfo", INTEL).verdict(),
            Tree::new().file("/proc/cpuinfo", NO_FLAG).verdict(),
            Tree::new().file("/proc/cpuinfo", GUEST).verdict(),
            Tree::new().file("/proc/cpuinfo", INTEL).module("kvm").module("kvm_intel").verdict(),
            Tree::new().module("kvm_intel").file("/.dockerenv", "").verdict(),
        ].join("\n"), @r"
        /dev/kvm is missing (help: `sudo modprobe kvm`)
        /dev/kvm is missing: no KVM module is loaded (help: `sudo modprobe kvm_intel`)
        /dev/kvm is missing: the CPU has neither vmx nor svm (help: enable virtualization (VT-x, AMD-V) in the firmware setup)
        /dev/kvm is missing: the CPU has neither vmx nor svm (help: this host is itself a virtual machine; enable nested virtualization on its host)
        /dev/kvm is missing, although the module kvm, kvm_intel is loaded (help: `sudo mknod -m 0660 /dev/kvm c 10 232`, or let udev create it)
        /dev/kvm is missing, although the module kvm_intel is loaded (help: start the container with `--device /dev/kvm`)
        ");
    }

    #[test]
    fn what_is_not_kvm_is_not_taken_for_it() {
        insta::assert_snapshot!(Tree::new().file("/dev/kvm", "").verdict(), @"/dev/kvm is not KVM (help: remove the device file and load the module kvm_intel or kvm_amd, which creates it again)");
        let tree = Tree::new().file("/dev/kvm", "");
        let old = check_with(&tree.1, |_| Ok(11)).unwrap_err();
        insta::assert_snapshot!(old, @"/dev/kvm: API version 11, QEMU requires 12");
        check_with(&tree.1, |_| Ok(12)).unwrap();
    }

    #[test]
    fn a_refusal_names_group_owner_and_remedy() {
        let tree = Tree::new()
            .file("/dev/kvm", "")
            .file("/etc/group", "root:x:0:\nmachines:x:4711:\n")
            .file("/etc/passwd", "boss:x:0:0::/root:/bin/sh\n");
        let node = tree.1.at("/dev/kvm");
        let told = |mode: u32, error: Errno| {
            fs::set_permissions(&node, fs::Permissions::from_mode(mode)).unwrap();
            refused(&tree.1, &io::Error::from(error)).to_string()
        };
        let mut verdicts =
            vec![told(0o600, Errno::ENXIO), told(0o600, Errno::EBUSY), told(0o666, Errno::EPERM)];
        assert_eq!(group_name(&tree.1, 4711), "machines");
        assert_eq!(user_name(&tree.1, 0), "boss");
        assert_eq!(group_name(&tree.1, 4_000_000_000), "4000000000");
        insta::assert_snapshot!(verdicts.join("\n"), @r"
        /dev/kvm: the device file exists, but the kernel has no KVM (help: `sudo modprobe kvm`)
        /dev/kvm: Device or resource busy (os error 16)
        /dev/kvm: permission denied despite mode 0666 (help: a device cgroup or security module denies access; in a container, use `--device /dev/kvm`)
        ");
        // Only root can give a file away, and so show what others meet.
        if Uid::effective().is_root() {
            nix::unistd::chown(&node, None, Some(4711.into())).unwrap();
            verdicts = vec![told(0o660, Errno::EACCES), told(0o600, Errno::EACCES)];
            insta::assert_snapshot!(verdicts.join("\n"), @r"
            /dev/kvm: permission denied, group machines (help: `sudo usermod -aG machines root`, then log in again)
            /dev/kvm: permission denied, owner boss, group machines, mode 0600 (help: as root: `groupadd -f kvm; chgrp kvm /dev/kvm; chmod 0660 /dev/kvm`, and join the group kvm)
            ");
        }
    }

    #[test]
    fn the_identity_changes_with_what_it_is_made_of() {
        let tree =
            Tree::new().file("/dev/kvm", "").file("/proc/sys/kernel/random/boot_id", "a\n").module("kvm");
        let before = Identity::of(&tree.1);
        assert_eq!(Identity::of(&tree.1), before);
        let tree = tree.module("kvm_intel");
        assert_ne!(Identity::of(&tree.1), before);
        let before = Identity::of(&tree.1);
        let tree = tree.file("/proc/sys/kernel/random/boot_id", "b\n");
        assert_ne!(Identity::of(&tree.1), before);
    }
}
