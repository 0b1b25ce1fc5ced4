//! Ties a child to this process: it dies when this one does, whatever ends it.
//!
//! New QEMUs do it themselves (`-run-with exit-with-parent=on`, seen in 11.1). For others two small programs come first and
//! are replaced by QEMU: `setpriv` asks the kernel for a SIGKILL at the parent's death, then `sh` looks whether
//! the parent died before that took hold. Neither needs a fork with a copy of this process's page tables, which
//! costs 30 ms at 1 GiB of memory.

use std::ffi::{OsStr, OsString};
use std::path::{Path, PathBuf};

/// How a child is made to die with this process.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Guard {
    /// QEMU watches its parent by this option.
    Option([&'static str; 2]),
    /// These programs with their arguments come before QEMU's own.
    Wrapper(Vec<OsString>),
}

/// Replaces itself by its arguments if the process it was told about is still its parent.
const CHECK_PARENT: &str = r#"[ "$PPID" = "$0" ] && exec "$@""#;

impl Guard {
    /// The guard for a QEMU that can watch its parent itself or not; `None` if `setpriv` or `sh` is not installed.
    pub(crate) fn find(watches_parent: bool) -> Option<Self> {
        if watches_parent {
            return Some(Self::Option(["-run-with", "exit-with-parent=on"]));
        }
        let setpriv = find_program("setpriv")?;
        let shell = find_program("sh")?;
        let parent = std::process::id().to_string();
        let words: [&OsStr; 8] = [
            setpriv.as_os_str(),
            OsStr::new("--pdeathsig"),
            OsStr::new("KILL"),
            OsStr::new("--"),
            shell.as_os_str(),
            OsStr::new("-c"),
            OsStr::new(CHECK_PARENT),
            OsStr::new(&parent),
        ];
        Some(Self::Wrapper(words.map(OsString::from).to_vec()))
    }
}

/// The program that gives a detached QEMU a session of its own, so that a closing terminal does not end it.
pub(crate) fn setsid_program() -> Option<PathBuf> {
    find_program("setsid")
}

/// Looks in the system's own folders, not in `PATH`: these programs stand between us and QEMU.
fn find_program(name: &str) -> Option<PathBuf> {
    ["/usr/bin", "/bin", "/run/current-system/sw/bin"]
        .into_iter()
        .map(|folder| Path::new(folder).join(name))
        .find(|path| path.is_file())
}

#[cfg(test)]
mod tests {
    use std::process::Command;

    use super::*;

    fn wrapper() -> Vec<OsString> {
        match Guard::find(false) {
            Some(Guard::Wrapper(words)) => words,
            other => panic!("util-linux's setpriv is needed here: {other:?}"),
        }
    }

    #[test]
    fn a_new_qemu_guards_itself() {
        assert_eq!(Guard::find(true), Some(Guard::Option(["-run-with", "exit-with-parent=on"])));
    }

    #[test]
    fn the_program_behind_the_wrapper_keeps_the_process_id_and_its_arguments() {
        let words = wrapper();
        let child = Command::new(&words[0])
            .args(&words[1..])
            .args(["sh", "-c", "echo $$ \"$1\"", "sh", "a b'\"$"])
            .stdout(std::process::Stdio::piped())
            .spawn()
            .expect("setpriv starts");
        let pid = child.id();
        let output = child.wait_with_output().expect("it ends");
        assert_eq!(String::from_utf8_lossy(&output.stdout), format!("{pid} a b'\"$\n"));
    }

    #[test]
    fn an_orphan_never_starts() {
        let mut words = wrapper();
        *words.last_mut().expect("the parent's id") = "1".into();
        let status = Command::new(&words[0])
            .args(&words[1..])
            .args(["sh", "-c", "exit 0"])
            .status()
            .expect("setpriv starts");
        assert_eq!(status.code(), Some(1));
    }
}
