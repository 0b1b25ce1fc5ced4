//! Small parts of running a QEMU for a moment: its error output and its last words.

use tokio::io::AsyncReadExt;
use tokio::process::ChildStderr;
use tokio::task::JoinHandle;

/// What is kept of a program's error output. QEMU with missing modules prints a line for each of them.
const MAX_STDERR: usize = 64 << 10;

/// Collects a program's error output while it runs, so that a full pipe does not stop it.
pub(crate) struct Stderr(Option<JoinHandle<Vec<u8>>>);

impl Stderr {
    pub(crate) fn collect(stderr: Option<ChildStderr>) -> Self {
        Self(stderr.map(|mut stderr| {
            tokio::spawn(async move {
                let mut kept = Vec::new();
                let mut piece = [0; 4096];
                while let Ok(count @ 1..) = stderr.read(&mut piece).await {
                    kept.extend_from_slice(&piece[..count]);
                    if kept.len() > 2 * MAX_STDERR {
                        kept.drain(..kept.len() - MAX_STDERR);
                    }
                }
                kept
            })
        }))
    }

    /// What the program has written; to be called once it has ended.
    pub(crate) async fn text(mut self) -> String {
        let Some(task) = self.0.take() else { return String::new() };
        // A program that the QEMU left behind may hold the pipe open.
        let collected = tokio::time::timeout(std::time::Duration::from_secs(2), task).await;
        String::from_utf8_lossy(&collected.ok().and_then(Result::ok).unwrap_or_default()).into_owned()
    }
}

/// The line of QEMU's error output that tells most: the first error, else the last line, without QEMU's name in front.
pub(crate) fn clean_words(stderr: &str) -> String {
    let mut lines =
        stderr.lines().map(str::trim).filter(|line| !line.is_empty() && !line.contains("warning:"));
    let telling = lines.clone().find(|line| line.contains("error:") || line.contains("failed to set"));
    let line = telling.or_else(|| lines.next_back()).unwrap_or_default();
    let line = match line.split_once(": ") {
        Some((program, rest)) if program.contains("qemu") && !program.contains(' ') => rest,
        _ => line,
    };
    line.trim_start_matches("error: ").to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_telling_line_is_found() {
        let words = |stderr: &str| clean_words(stderr);
        assert_eq!(
            words(
                "qemu-system-x86_64: error: failed to set MSR 0x10a to 0x69\nqemu-system-x86_64: ../../target/i386/kvm/\
                 kvm.c:3183: kvm_buf_set_msrs: Assertion `ret == cpu->kvm_msr_buf->nmsrs' failed.\n"
            ),
            "failed to set MSR 0x10a to 0x69"
        );
        assert_eq!(
            words("qemu-system-x86_64: warning: x\nqemu-system-x86_64: unable to find CPU model 'foo'\n"),
            "unable to find CPU model 'foo'"
        );
        assert_eq!(
            words("Could not access KVM kernel module: Permission denied\n"),
            "Could not access KVM kernel module: Permission denied"
        );
        assert_eq!(words("\n"), "");
    }
}
