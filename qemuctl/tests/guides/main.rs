//! Follows guides in `docs/` literally: writes their files, types their commands, and compares
//! what is said with what they show, on a real QEMU with the project's own guest.

mod page;
mod reader;
mod schema;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use reader::Reader;

fn follow(name: &str) {
    Reader::new().follow(&docs().join(name));
}

/// One test for each guide, so that one can be run alone.
macro_rules! guides {
    ($($test:ident: $file:literal,)+) => {
        const GUIDES: &[&str] = &[$($file),+];
        $(
            #[test]
            fn $test() {
                follow($file);
            }
        )+
    };
}

guides! {
    ci: "ci.md",
    console: "console.md",
    disks: "disks.md",
    embed_client: "embed-client.md",
    embed_renderer: "embed-renderer.md",
    first_vm: "first-vm.md",
    from_qemu: "from-qemu.md",
    machines: "machines.md",
    networks: "networks.md",
    program: "program.md",
    security: "security.md",
    snapshots: "snapshots.md",
    types: "types.md",
    uefi: "uefi.md",
}

/// The other pages: their links and machines are looked at, their commands are not typed here.
/// `login.md` logs in to whole systems, which `tests/logins` does.
const OTHERS: &[&str] = &["README.md", "comparison.md", "from-go.md", "login.md"];

fn docs() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("docs")
}

fn read(path: &Path) -> String {
    std::fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

#[test]
fn every_guide_is_followed_and_listed() {
    let names = std::fs::read_dir(docs()).expect("there are guides");
    let names = names.map(|entry| entry.expect("readable").file_name().into_string().expect("text"));
    let pages: BTreeSet<_> =
        names.filter(|name| Path::new(name).extension().is_some_and(|ending| ending == "md")).collect();
    assert_eq!(pages, GUIDES.iter().chain(OTHERS).map(|name| (*name).to_owned()).collect());
    let list = read(&docs().join("README.md"));
    for page in pages.iter().filter(|page| *page != "README.md") {
        assert!(list.contains(&format!("]({page})")), "{page} is not in the list of guides");
    }
}

/// The files that the pages lead to are there.
#[test]
fn links_lead_somewhere() {
    for page in GUIDES.iter().chain(OTHERS) {
        let text = read(&docs().join(page));
        let targets = text.split("](").skip(1).filter_map(|rest| rest.split(')').next());
        for target in targets.filter(|target| !target.contains("://")) {
            assert!(docs().join(target).exists(), "{page} leads to {target}");
        }
    }
}

/// Everything that the tables for Go programmers name is a function or a variant of ours.
#[test]
fn what_go_programs_are_told_to_use_is_there() {
    let mut sources = String::new();
    for dir in ["../qemuctl/src", "../qemu-argv/src"] {
        read_sources(&Path::new(env!("CARGO_MANIFEST_DIR")).join(dir), &mut sources);
    }
    let page = read(&docs().join("from-go.md"));
    let cells = page.lines().filter(|line| line.starts_with("| ")).flat_map(|row| row.split('|').skip(2));
    let mut checked = 0;
    for name in cells.flat_map(|cell| cell.split('`').skip(1).step_by(2)) {
        let called = name.split_once('(').map(|(path, _)| path.rsplit(['.', ':']).next().unwrap_or(path));
        let wanted = match (called, name.strip_prefix("State::")) {
            (Some(function), _) => format!("fn {function}"),
            (None, Some(state)) => format!("    {state},"),
            (None, None) => name.to_owned(),
        };
        assert!(sources.contains(&wanted), "`{name}`: nothing has {wanted:?}");
        checked += 1;
    }
    assert!(checked > 40, "only {checked} names were found");
}

/// The commands of the README are ones that the program takes, and its list has all of them.
#[test]
fn the_readme_names_the_programs_commands() {
    let page = read(&docs().join("../../README.md"));
    let qemuctl = |words: &[&str]| {
        let output = std::process::Command::new(env!("CARGO_BIN_EXE_qemuctl")).args(words).output();
        let output = output.expect("the program starts");
        assert!(output.status.success(), "{words:?}: {}", String::from_utf8_lossy(&output.stderr));
        String::from_utf8(output.stdout).expect("text")
    };
    for line in page.lines().filter_map(|line| line.strip_prefix("qemuctl ")) {
        let command = line.split('#').next().unwrap_or_default();
        qemuctl(&command.split_whitespace().chain(["--help"]).collect::<Vec<_>>());
    }
    let help = qemuctl(&["--help"]);
    let rows =
        help.lines().skip_while(|line| *line != "Commands:").skip(1).take_while(|line| !line.is_empty());
    let names = rows.filter(|row| !row.starts_with("   ")).filter_map(|row| row.split_whitespace().next());
    let there: BTreeSet<_> = names.filter(|name| *name != "help").collect();
    let table =
        page.split("## Commands").nth(1).and_then(|rest| rest.split("##").next()).expect("the section");
    let rows = table.lines().filter(|line| line.starts_with("| "));
    let listed: BTreeSet<_> = rows.flat_map(|row| row.split('`').skip(1).step_by(2)).collect();
    assert_eq!(listed, there);
}

fn read_sources(dir: &Path, sources: &mut String) {
    for entry in std::fs::read_dir(dir).expect("a directory") {
        let path = entry.expect("readable").path();
        if path.is_dir() {
            read_sources(&path, sources);
        } else {
            sources.push_str(&read(&path));
        }
    }
}
