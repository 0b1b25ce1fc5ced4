//! Lists that QEMU prints for people and offers in no other way.

use std::collections::BTreeSet;
use std::path::Path;

use tokio::io::AsyncReadExt;

use crate::DiscoveryError;
use crate::process::{Brief, Program};

/// The back ends that `-OPTION help` names. An option that the binary does not have yields none.
///
/// Unlike the schema, `help` leaves out what is in a module that is not installed.
pub(super) async fn backends(binary: &Path, option: &str) -> Result<BTreeSet<String>, DiscoveryError> {
    let io = |source| DiscoveryError::Io { action: "start", path: binary.to_owned(), source };
    let (mut output, standard_output) = Brief::output().map_err(io)?;
    let program = Program {
        path: binary.to_owned(),
        args: vec![option.into(), "help".into()],
        descriptors: vec![standard_output],
        ..Program::default()
    };
    let running = Brief::start(program).await.map_err(io)?;
    let mut text = Vec::new();
    output.read_to_end(&mut text).await.map_err(io)?;
    running.ended().await;
    Ok(names(&String::from_utf8_lossy(&text)))
}

/// The lines that hold a single word; headings and advice have several.
pub(super) fn names(text: &str) -> BTreeSet<String> {
    text.lines()
        .map(str::trim)
        .filter(|line| !line.is_empty() && !line.contains(' '))
        .map(str::to_owned)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_told_from_headings_and_advice() {
        let text =
            "Available display backend types:\r\nnone\r\n  curses\r\n\nFor a short list see the help.\n";
        assert_eq!(names(text), ["curses", "none"].map(str::to_owned).into());
    }
}
