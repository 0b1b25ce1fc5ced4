//! Finds the QEMU program for an architecture.
//!
//! If the caller gives a path, only that is used, and there is no fallback. Otherwise `PATH` is searched, and then the
//! directories to which distributions, Homebrew and Nix install.

use std::collections::BTreeSet;
use std::env;
use std::path::{Component, Path, PathBuf};

use nix::unistd::{AccessFlags, access};
use qemu_argv::Arch;

use crate::{DiscoveryError, Places};

/// Directories that may contain QEMU without being in `PATH`, in search order.
const KNOWN_DIRS: [&str; 12] = [
    "/pkg/main/app-emulation.qemu.core/bin",
    "/usr/bin",
    "/usr/local/bin",
    "/usr/libexec",
    "/opt/homebrew/bin",
    "/home/linuxbrew/.linuxbrew/bin",
    "/opt/local/bin",
    "/run/current-system/sw/bin",
    "/nix/var/nix/profiles/default/bin",
    "/usr/local/libexec",
    "/usr/lib/qemu-kvm",
    "/snap/bin",
];

/// Directories in the user's home.
const HOME_DIRS: [&str; 3] = [".nix-profile/bin", ".local/state/nix/profile/bin", ".local/bin"];

/// Finds the QEMU for guests of `arch`.
///
/// `explicit` is a program, a directory that contains `qemu-system-…` (or `bin/qemu-system-…`), or a name that is
/// looked up in `PATH`.
///
/// # Errors
///
/// - [`DiscoveryError::ExplicitBinary`] if `explicit` is not a program. Nothing else is tried.
/// - [`DiscoveryError::NoBinary`] if there is none; it lists the searched directories and the package to install.
pub fn find_binary(arch: Arch, explicit: Option<&Path>) -> Result<PathBuf, DiscoveryError> {
    find_binary_in(&Places::host(), arch, explicit)
}

/// Like [`find_binary`], in a given file tree. Returned paths are below its root.
///
/// # Errors
///
/// As [`find_binary`].
pub fn find_binary_in(
    places: &Places,
    arch: Arch,
    explicit: Option<&Path>,
) -> Result<PathBuf, DiscoveryError> {
    let names = program_names(arch);
    if let Some(explicit) = explicit {
        return follow_explicit(places, explicit, &names);
    }
    let searched = search_dirs(places);
    searched
        .iter()
        .flat_map(|dir| names.iter().map(move |name| dir.join(name)))
        .find(|path| runnable(path).is_ok())
        .ok_or_else(|| DiscoveryError::NoBinary { arch, hint: install_hint(places, arch), searched })
}

/// Returns all QEMUs of this host, for each architecture in search order; the first of each is the one that
/// [`find_binary`] returns. A program with several paths is listed once.
pub fn all_binaries_in(places: &Places) -> Vec<(Arch, PathBuf)> {
    let dirs = search_dirs(places);
    let mut seen = BTreeSet::new();
    let mut found = Vec::new();
    for arch in Arch::all() {
        for dir in &dirs {
            for path in program_names(arch).iter().map(|name| dir.join(name)) {
                if runnable(&path).is_ok()
                    && seen.insert(path.canonicalize().unwrap_or_else(|_| path.clone()))
                {
                    found.push((arch, path));
                }
            }
        }
    }
    found
}

/// Finds a program that belongs to QEMU, such as `qemu-img`, in the same directories as QEMU.
pub fn find_tool_in(places: &Places, name: &str) -> Option<PathBuf> {
    search_dirs(places).into_iter().map(|dir| dir.join(name)).find(|path| runnable(path).is_ok())
}

/// The names the program goes by. RHEL and its kin have only `qemu-kvm`, for the host's own architecture.
fn program_names(arch: Arch) -> Vec<String> {
    let mut names = vec![format!("qemu-system-{}", arch.qemu_name())];
    if Arch::host() == Some(arch) {
        names.push("qemu-kvm".into());
    }
    names
}

fn follow_explicit(places: &Places, explicit: &Path, names: &[String]) -> Result<PathBuf, DiscoveryError> {
    let wrong = |reason: String| DiscoveryError::ExplicitBinary { path: explicit.into(), reason };
    let mut components = explicit.components();
    if let (Some(Component::Normal(name)), None) = (components.next(), components.next())
        && !explicit.exists()
    {
        return path_dirs(places)
            .map(|dir| dir.join(name))
            .find(|path| runnable(path).is_ok())
            .ok_or_else(|| wrong("not found in PATH".into()));
    }
    let metadata = explicit.metadata().map_err(|error| wrong(error.to_string()))?;
    if !metadata.is_dir() {
        runnable(explicit).map_err(wrong)?;
        // A relative path would depend on the working directory.
        return std::path::absolute(explicit).map_err(|error| wrong(error.to_string()));
    }
    let dir = std::path::absolute(explicit).map_err(|error| wrong(error.to_string()))?;
    [dir.clone(), dir.join("bin")]
        .iter()
        .flat_map(|dir| names.iter().map(move |name| dir.join(name)))
        .find(|path| runnable(path).is_ok())
        .ok_or_else(|| {
            wrong(format!("this directory has no {}, and neither has its bin", names.join(" or ")))
        })
}

/// Returns `PATH` without relative and empty entries, which refer to the working directory and are unsafe.
fn path_dirs(places: &Places) -> impl Iterator<Item = PathBuf> {
    let dirs: Vec<PathBuf> = places.path.as_deref().map(env::split_paths).into_iter().flatten().collect();
    dirs.into_iter().filter(|dir| dir.is_absolute())
}

fn search_dirs(places: &Places) -> Vec<PathBuf> {
    let known = KNOWN_DIRS.iter().map(|dir| places.at(dir));
    let home = places.home.iter().flat_map(|home| HOME_DIRS.iter().map(|dir| home.join(dir)));
    let mut seen = BTreeSet::new();
    path_dirs(places).chain(known).chain(home).filter(|dir| seen.insert(dir.clone())).collect()
}

/// Checks whether the file is executable.
fn runnable(path: &Path) -> Result<(), String> {
    let metadata = path.metadata().map_err(|error| error.to_string())?;
    if !metadata.is_file() {
        return Err("not a regular file".into());
    }
    access(path, AccessFlags::X_OK).map_err(|errno| format!("not executable: {}", errno.desc()))
}

/// Returns the command that installs QEMU for `arch`, if the distribution is known.
pub(crate) fn install_hint(places: &Places, arch: Arch) -> String {
    let release = places.text("/etc/os-release").unwrap_or_default();
    let field = |key: &str| {
        release
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix('='))
            .map(|value| value.trim_matches('"'))
    };
    let families: Vec<&str> =
        [field("ID"), field("ID_LIKE")].into_iter().flatten().flat_map(str::split_whitespace).collect();
    let is = |name: &str| families.contains(&name);
    let name = arch.qemu_name();
    if is("debian") {
        let group = match arch {
            Arch::X86_64 | Arch::I386 => "x86",
            Arch::Aarch64 | Arch::Arm => "arm",
            Arch::Ppc | Arch::Ppc64 => "ppc",
            Arch::Mips | Arch::Mipsel | Arch::Mips64 | Arch::Mips64el => "mips",
            Arch::Sparc64 => "sparc",
            // Debian 13 has packages of their own for some of these, and this one still leads to them.
            _ => "misc",
        };
        format!("install it with `apt install qemu-system-{group}`")
    } else if is("rhel") && Arch::host() == Some(arch) {
        "install it with `dnf install qemu-kvm`".into()
    } else if is("fedora") {
        let group = match arch {
            Arch::X86_64 | Arch::I386 => "x86",
            Arch::Riscv32 | Arch::Riscv64 => "riscv",
            Arch::Ppc | Arch::Ppc64 => "ppc",
            Arch::Mips | Arch::Mipsel | Arch::Mips64 | Arch::Mips64el => "mips",
            Arch::Sparc64 => "sparc",
            _ => name,
        };
        format!("install it with `dnf install qemu-system-{group}`")
    } else if is("arch") {
        let group = if matches!(arch, Arch::X86_64 | Arch::I386) { "x86" } else { name };
        format!("install it with `pacman -S qemu-system-{group}`")
    } else if is("alpine") {
        format!("install it with `apk add qemu-system-{name}`")
    } else if is("suse") {
        "install it with `zypper install qemu`".into()
    } else if is("nixos") {
        "install it with `nix profile install nixpkgs#qemu`".into()
    } else if cfg!(target_os = "macos") {
        "install it with `brew install qemu`".into()
    } else {
        format!("install the package that provides qemu-system-{name}, or give its path")
    }
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    fn program(path: &Path, mode: u32) {
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, "#!/bin/sh\n").unwrap();
        fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    }

    fn tree() -> (tempfile::TempDir, Places) {
        let dir = tempfile::tempdir().unwrap();
        let places = Places::below(dir.path());
        (dir, places)
    }

    /// The message without the parts that differ from run to run.
    fn message(dir: &tempfile::TempDir, error: &DiscoveryError) -> String {
        error.to_string().replace(dir.path().to_str().unwrap(), "")
    }

    #[test]
    fn path_comes_before_the_known_places() {
        let (_dir, mut places) = tree();
        program(&places.at("/usr/bin/qemu-system-aarch64"), 0o755);
        assert_eq!(
            find_binary_in(&places, Arch::Aarch64, None).unwrap(),
            places.at("/usr/bin/qemu-system-aarch64")
        );
        program(&places.at("/own/qemu-system-aarch64"), 0o755);
        places.path = Some(env::join_paths([Path::new("relative"), &places.at("/own")]).unwrap());
        assert_eq!(
            find_binary_in(&places, Arch::Aarch64, None).unwrap(),
            places.at("/own/qemu-system-aarch64")
        );
    }

    #[test]
    fn what_cannot_run_is_passed_over_in_the_search() {
        let (_dir, places) = tree();
        program(&places.at("/usr/bin/qemu-system-arm"), 0o644);
        fs::create_dir_all(places.at("/usr/local/bin/qemu-system-arm")).unwrap();
        program(&places.at("/nix/var/nix/profiles/default/bin/qemu-system-arm"), 0o755);
        assert_eq!(
            find_binary_in(&places, Arch::Arm, None).unwrap(),
            places.at("/nix/var/nix/profiles/default/bin/qemu-system-arm")
        );
    }

    #[test]
    fn an_explicit_path_is_never_skipped_over() {
        let (dir, places) = tree();
        program(&places.at("/usr/bin/qemu-system-x86_64"), 0o755);
        program(&places.at("/plain/qemu"), 0o644);
        fs::create_dir_all(places.at("/empty")).unwrap();
        let refused: Vec<String> = ["/missing", "/plain/qemu", "/empty", "/plain"]
            .iter()
            .map(|path| find_binary_in(&places, Arch::X86_64, Some(&places.at(path))).unwrap_err())
            .chain([find_binary_in(&places, Arch::X86_64, Some(Path::new("no-such-qemu"))).unwrap_err()])
            .map(|error| message(&dir, &error))
            .collect();
        let kvm = if Arch::host() == Some(Arch::X86_64) { " or qemu-kvm" } else { "" };
        assert_eq!(
            refused,
            [
                "no QEMU at /missing: No such file or directory (os error 2)".into(),
                "no QEMU at /plain/qemu: not executable: Permission denied".into(),
                format!(
                    "no QEMU at /empty: this directory has no qemu-system-x86_64{kvm}, and neither has its bin"
                ),
                format!(
                    "no QEMU at /plain: this directory has no qemu-system-x86_64{kvm}, and neither has its bin"
                ),
                "no QEMU at no-such-qemu: not found in PATH".to_owned(),
            ]
        );
    }

    #[test]
    fn an_explicit_path_may_be_a_program_a_folder_a_prefix_or_a_name() {
        let (_dir, mut places) = tree();
        let program_path = places.at("/prefix/bin/qemu-system-riscv64");
        program(&program_path, 0o755);
        places.path = Some(places.at("/prefix/bin").into());
        for explicit in ["/prefix", "/prefix/bin", "/prefix/bin/qemu-system-riscv64"] {
            let found = find_binary_in(&places, Arch::Riscv64, Some(&places.at(explicit)));
            assert_eq!(found.unwrap(), program_path);
        }
        let by_name = find_binary_in(&places, Arch::Riscv64, Some(Path::new("qemu-system-riscv64")));
        assert_eq!(by_name.unwrap(), program_path);
    }

    #[test]
    fn nothing_found_says_what_to_install_and_where_it_looked() {
        let (dir, places) = tree();
        let hint = |arch, release: &str| {
            fs::create_dir_all(places.at("/etc")).unwrap();
            fs::write(places.at("/etc/os-release"), release).unwrap();
            install_hint(&places, arch)
        };
        insta::assert_snapshot!([
            hint(Arch::X86_64, "ID=debian\n"),
            hint(Arch::Aarch64, "ID=linuxmint\nID_LIKE=\"ubuntu debian\"\n"),
            hint(Arch::X86_64, "ID=fedora\n"),
            hint(Arch::X86_64, "ID=\"rocky\"\nID_LIKE=\"rhel centos fedora\"\n"),
            hint(Arch::I386, "ID=arch\n"),
            hint(Arch::S390x, "ID=alpine\n"),
            hint(Arch::X86_64, "ID=\"opensuse-tumbleweed\"\nID_LIKE=\"opensuse suse\"\n"),
            hint(Arch::X86_64, "ID=nixos\n"),
            hint(Arch::Mips, "ID=unheard-of\n"),
        ].join("\n"), @r"
        install it with `apt install qemu-system-x86`
        install it with `apt install qemu-system-arm`
        install it with `dnf install qemu-system-x86`
        install it with `dnf install qemu-kvm`
        install it with `pacman -S qemu-system-x86`
        install it with `apk add qemu-system-s390x`
        install it with `zypper install qemu`
        install it with `nix profile install nixpkgs#qemu`
        install the package that provides qemu-system-mips, or give its path
        ");
        fs::write(places.at("/etc/os-release"), "ID=debian").unwrap();
        let error = find_binary_in(&places, Arch::Sparc64, None).unwrap_err();
        insta::assert_snapshot!(message(&dir, &error), @"no QEMU for sparc64 guests found; install it with `apt install qemu-system-sparc` (looked in /pkg/main/app-emulation.qemu.core/bin, /usr/bin, /usr/local/bin, /usr/libexec, /opt/homebrew/bin, /home/linuxbrew/.linuxbrew/bin, /opt/local/bin, /run/current-system/sw/bin, /nix/var/nix/profiles/default/bin, /usr/local/libexec, /usr/lib/qemu-kvm, /snap/bin, /home/user/.nix-profile/bin, /home/user/.local/state/nix/profile/bin, /home/user/.local/bin)");
    }

    #[test]
    fn every_program_is_listed_once() {
        let (_dir, places) = tree();
        program(&places.at("/usr/bin/qemu-system-arm"), 0o755);
        fs::create_dir_all(places.at("/usr/local/bin")).unwrap();
        std::os::unix::fs::symlink(
            places.at("/usr/bin/qemu-system-arm"),
            places.at("/usr/local/bin/qemu-system-arm"),
        )
        .unwrap();
        program(&places.at("/usr/local/bin/qemu-system-aarch64"), 0o755);
        assert_eq!(
            all_binaries_in(&places),
            [
                (Arch::Aarch64, places.at("/usr/local/bin/qemu-system-aarch64")),
                (Arch::Arm, places.at("/usr/bin/qemu-system-arm")),
            ]
        );
    }
}
