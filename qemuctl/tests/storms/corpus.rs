//! Machines that people run (`qemu-argv/tests/corpus`): what `check` calls valid, starts.

use std::fmt::Write as _;
use std::path::{Path, PathBuf};

use super::cli::program::Place;
use super::support::qemu;

/// Machines that want what a host may lack when they start, and what. `check` cannot know it, or names it.
const OUTSIDE: [(&str, &str); 20] = [
    ("amdsev-launch", "a processor with SEV"),
    ("asterinas-tdx", "a processor with TDX"),
    ("canonical-tdx", "a processor with TDX"),
    ("dpdk-vhost-user", "a switch that shares memory"),
    ("idv-igd-passthrough", "a graphics card to pass through, and input devices"),
    ("lv-sev-snp", "a processor with SEV-SNP"),
    ("lv-shmem", "a server for shared memory"),
    ("lv-zpci", "a device to pass through"),
    ("optee-loadvm-fuzz", "a snapshot"),
    ("pve-hostpci-multifunction", "devices to pass through"),
    ("pve-netdev-multiqueues", "vhost-net"),
    ("openwrt-armsr", "a bridge"),
    ("oe-qemuppc", "a screen"),
    ("pve-secboot-tpm-q35", "swtpm"),
    ("quickemu-aarch64", "swtpm"),
    ("quickemu-linux", "swtpm"),
    ("quickemu-windows", "swtpm"),
    ("tcg-plugin-riscv", "a plugin"),
    ("pve-sev-snp", "a processor with SEV-SNP"),
    ("vqfx-loadvm", "a snapshot"),
];

#[test]
fn corpus_of_7_2_starts_or_is_refused() {
    corpus("7.2");
}

#[test]
fn corpus_of_10_0_starts_or_is_refused() {
    corpus("10.0");
}

#[test]
fn corpus_of_11_1_starts_or_is_refused() {
    corpus("11.1");
}

fn corpus(version: &str) {
    let program = qemu(version, "qemu-system-x86_64");
    let dir = program.parent().expect("a program is in a directory").to_str().expect("UTF-8").to_owned();
    let (mut report, mut faults, mut started) = (String::new(), 0, 0);
    let mut files: Vec<PathBuf> = std::fs::read_dir(corpus_dir())
        .expect("the corpus is there")
        .map(|entry| entry.expect("a directory entry").path())
        .collect();
    files.sort();
    for file in &files {
        let name = file.file_stem().expect("a file has a name").to_string_lossy().into_owned();
        let place = Place::new();
        let text = std::fs::read_to_string(file).expect("a machine can be read");
        place.write("vm.toml", &text);
        let outside = OUTSIDE.iter().find(|(outside, _)| *outside == name);
        let checked = check(&place, &dir, &text);
        if checked.code != Some(0) {
            writeln!(report, "{name}: check: {}", last(&checked.err)).expect("a String takes it");
            continue;
        }
        let vm = ["start", "--quiet", "--qemu", &dir, "--paused", "--name", "case", "vm.toml"];
        let answer = place.qemuctl(&vm);
        if answer.code == Some(0) {
            started += 1;
        } else {
            faults += usize::from(outside.is_none());
            writeln!(report, "{name}: START: {}", last(&answer.err)).expect("a String takes it");
        }
        place.qemuctl(&["kill", "--quiet", "case"]);
    }
    println!("{version}: started {started} of {}\n{report}", files.len());
    assert_eq!(faults, 0, "{version}: {started} of {} started\n{report}", files.len());
}

/// Checks a machine, and makes the files that it misses until it misses none.
fn check(place: &Place, qemu: &str, text: &str) -> super::cli::program::Answer {
    // The variables of firmware are created where they are missing, from a template that fits to real code.
    for name in text.split('"').filter(|word| word.contains("VARS") && has_ending(word, "fd")) {
        make(&place.file(name), text);
    }
    let mut answer = place.qemuctl(&["check", "--color", "never", "--qemu", qemu, "vm.toml"]);
    for _ in 0..8 {
        let root = place.file("");
        let missing: Vec<PathBuf> = answer
            .err
            .lines()
            .filter_map(|line| line.split_once("cannot open ")?.1.split_once(": No such file"))
            // Answers call the directory so.
            .filter_map(|(path, _)| path.strip_prefix("DIR/").map(PathBuf::from))
            .collect();
        if missing.is_empty() {
            break;
        }
        for path in &missing {
            make(&root.join(path), text);
        }
        answer = place.qemuctl(&["check", "--color", "never", "--qemu", qemu, "vm.toml"]);
    }
    answer
}

fn has_ending(name: &str, ending: &str) -> bool {
    Path::new(name).extension().is_some_and(|extension| extension == ending)
}

fn make(path: &Path, text: &str) {
    let name = path.file_name().expect("a file").to_string_lossy().into_owned();
    std::fs::create_dir_all(path.parent().expect("a directory")).expect("a directory");
    let is_qcow2 = has_ending(&name, "qcow2") || text.contains(&format!("\"{name}\", format = \"qcow2\""));
    if is_qcow2 {
        let mut command = std::process::Command::new(qemu("10.0", "qemu-img"));
        let made = command.args(["create", "-q", "-f", "qcow2"]).arg(path).arg("64M").status();
        assert!(made.expect("qemu-img runs").success());
        return;
    }
    let size = match name.as_str() {
        "obmc.static.mtd" => 32 << 20,
        "floppy.img" => 1440 << 10,
        _ if has_ending(&name, "fd") => 1 << 20,
        _ if ["kernel", "Image", "vmlinu", "elf", ".bin", "rom"].iter().any(|part| name.contains(part)) => {
            64 << 10
        }
        _ => 64 << 20,
    };
    std::fs::File::create(path).and_then(|file| file.set_len(size)).expect("a file");
}

fn corpus_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../qemu-argv/tests/corpus")
}

/// What an answer ends with, without the text of the file.
fn last(text: &str) -> String {
    let told = text.lines().filter(|line| line.starts_with("error") || line.contains(".toml:"));
    told.collect::<Vec<_>>().join("; ").chars().take(400).collect()
}
