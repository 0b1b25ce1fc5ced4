//! Names of VMs: they become file names, so they are checked before anything else.

use std::io;

use crate::error::Error;

/// Room for the endings that are put behind a name, within a file name of 255 bytes.
const LONGEST: usize = 200;

/// Refuses a name that cannot be a file name or would lead out of the socket directory.
pub(crate) fn check_name(name: &str) -> Result<(), Error> {
    let reason = if name.is_empty() {
        "it is empty"
    } else if name.len() > LONGEST {
        "it is longer than 200 bytes"
    } else if name.starts_with(['.', '-']) {
        "it must not begin with a dot or a dash"
    } else if name.contains('/') {
        "it contains a slash"
    } else if name.contains(char::is_control) {
        "it contains a control character"
    } else if name.rsplit_once('.').is_some_and(|(_, ending)| is_taken(ending)) {
        "it ends like the file name of a console or agent socket"
    } else if name.rsplit_once('.').is_some_and(|(_, ending)| ending == "plan") {
        "it ends like the file name of a plan"
    } else {
        return Ok(());
    };
    Err(Error::InvalidName { name: name.to_owned(), reason })
}

/// Whether a VM's own sockets end this way: `a.console0.sock` must not be the monitor of a VM called `a.console0`.
pub(super) fn is_taken(ending: &str) -> bool {
    ["agent", "console", "port", "vnc", "spice"].iter().any(|word| {
        ending.strip_prefix(word).is_some_and(|rest| rest.bytes().all(|byte| byte.is_ascii_digit()))
    })
}

/// A name for a VM that was given none: `vm-` and eight random hexadecimal digits.
pub(crate) fn random_name() -> io::Result<String> {
    let uuid = std::fs::read_to_string("/proc/sys/kernel/random/uuid")?;
    Ok(format!("vm-{}", uuid.get(..8).ok_or(io::ErrorKind::InvalidData)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bad_names_are_refused_with_a_reason() {
        let long = "x".repeat(201);
        let refusals: Vec<String> =
            ["", "../x", "a/b", "-rf", ".hidden", "a\0b", "a\nb", "a.console0", "a.agent", "a.plan", &long]
                .iter()
                .map(|name| check_name(name).expect_err(name).to_string())
                .collect();
        insta::assert_snapshot!(refusals.join("\n").replace(&long, "x…"), @r#"
invalid VM name "": it is empty
invalid VM name "../x": it must not begin with a dot or a dash
invalid VM name "a/b": it contains a slash
invalid VM name "-rf": it must not begin with a dot or a dash
invalid VM name ".hidden": it must not begin with a dot or a dash
invalid VM name "a\0b": it contains a control character
invalid VM name "a\nb": it contains a control character
invalid VM name "a.console0": it ends like the file name of a console or agent socket
invalid VM name "a.agent": it ends like the file name of a console or agent socket
invalid VM name "a.plan": it ends like the file name of a plan
invalid VM name "x…": it is longer than 200 bytes
"#);
    }

    #[test]
    fn odd_but_harmless_names_are_taken() {
        for name in ["vm", "my vm, the \"second\"", "Größe", "a.b_c-d=e", "web.consoles"] {
            check_name(name).expect(name);
        }
    }

    #[test]
    fn random_names_differ_and_are_valid() {
        let (one, two) = (random_name().expect("a name"), random_name().expect("a name"));
        assert_ne!(one, two);
        check_name(&one).expect("valid");
    }
}
