//! The guide in `docs/`: its configs are valid, its commands are ones that the program takes.

use qemuctl::config::ConfigFile;

use super::program::Place;

const GUIDE: &str = include_str!("../../../docs/program.md");

/// The code blocks in that language.
fn blocks(language: &str) -> Vec<&'static str> {
    let blocks: Vec<&str> = GUIDE.split("```").skip(1).step_by(2).collect();
    let found: Vec<&str> =
        blocks.iter().filter_map(|block| block.strip_prefix(&format!("{language}\n"))).collect();
    assert!(!found.is_empty(), "the guide has blocks in {language}");
    found
}

#[test]
fn every_config_of_the_guide_is_valid() {
    for block in blocks("toml") {
        ConfigFile::parse("guide.toml", block.to_owned()).expect(block);
    }
}

#[test]
fn every_command_of_the_guide_is_one() {
    let place = Place::new();
    for line in blocks("sh").concat().lines() {
        // The shell takes the quotes away. With --help the program looks at the words and does nothing.
        let mut shell = std::process::Command::new("sh");
        let (command, input) =
            line.split_once(" < ").map_or((line, ""), |(command, _)| (command, "</dev/null"));
        let script = format!("{} --help {input}", command.replacen("qemuctl", "\"$QEMUCTL\"", 1));
        shell.arg("-c").arg(&script).env("QEMUCTL", env!("CARGO_BIN_EXE_qemuctl"));
        let output = shell.env("QEMUCTL_SOCKET_DIR", place.sockets()).output();
        let answer = place.answer(&output.expect("sh starts"));
        // What comes behind `hmp` is QEMU's and behind `exec` the guest's, also --help: then the VM is looked for.
        let expected = match line {
            _ if line.starts_with("qemuctl hmp") => 3,
            _ if line.starts_with("qemuctl exec") => 125,
            _ => 0,
        };
        assert_eq!(answer.code, Some(expected), "{line}: {answer:?}");
    }
}
