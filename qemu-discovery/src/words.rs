//! QEMU's last output.

/// Returns the most relevant line of QEMU's error output: the first error, or else the last line, without QEMU's name.
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
