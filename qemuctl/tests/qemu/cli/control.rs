//! A VM in the background, and everything that is done to it from the command line.

use std::path::Path;
use std::process::Command;

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use super::guest::{DEAF, OBEDIENT, config, disk};
use super::program::Place;

/// Runs commands one after the other and writes down what they say.
fn transcript(place: &Place, commands: &[&[&str]]) -> String {
    let told = commands
        .iter()
        .map(|args| format!("$ qemuctl {}\n{}\n", args.join(" "), place.qemuctl(args).whole()));
    told.collect::<Vec<_>>().join("\n")
}

#[test]
fn a_vm_in_the_background_is_controlled_by_its_name() {
    let place = Place::new();
    place.write("guest.raw", disk(OBEDIENT));
    place.write("medium.iso", vec![0; 1 << 20]);
    let more = "video = [\"vga\"]\ncdroms = [{ id = \"cdrom0\" }]\nvnc = { password = true }\n";
    place.write("vm.toml", config("vm").replace("disks =", &format!("{more}disks =")));
    let told = transcript(
        &place,
        &[
            &["start", "vm.toml"],
            &["start", "vm.toml"],
            &["list", "--names"],
            &["pause", "vm"],
            &["wait", "vm", "--for", "paused"],
            &["resume", "vm"],
            &["screenshot", "vm", "screen.png"],
            &["send-key", "vm", "ctrl-alt-delete"],
            &["send-key", "vm", "nosuchkey"],
            &["type", "vm", "root", "--enter"],
            &["type", "vm", "π"],
            &["vnc", "vm"],
            &["block", "insert", "vm", "cdrom0", "medium.iso"],
            &["block", "insert", "vm", "cdrom0", "gone.iso"],
            &["block", "eject", "vm", "cdrom0"],
            &["block", "eject", "vm", "cdrom7"],
            &["throttle", "vm", "disk0", "--bytes", "10M", "--requests", "100"],
            &["throttle", "vm", "disk0"],
            &["qmp", "vm", "no-such-command"],
            &["wait", "vm", "--timeout", "0"],
            &["status", "wm"],
            &["reset", "vm"],
            &["stop", "vm", "--timeout", "0", "--quiet"],
            &["stop", "vm"],
        ],
    );
    // The first free port, which depends on who else runs.
    let told = regex::Regex::new("127.0.0.1:59[0-9]{2}").expect("valid").replace_all(&told, "127.0.0.1:59NN");
    insta::assert_snapshot!(told, @r#"
    $ qemuctl start vm.toml
    started vm (process N)
      VNC on 127.0.0.1:59NN
    exit code 0

    $ qemuctl start vm.toml
    error: a VM called vm is already running (process N)
    help: `qemuctl status vm` shows it; choose another name with --name
    exit code 1

    $ qemuctl list --names
    vm
    exit code 0

    $ qemuctl pause vm
    paused vm
    exit code 0

    $ qemuctl wait vm --for paused
    exit code 0

    $ qemuctl resume vm
    resumed vm
    exit code 0

    $ qemuctl screenshot vm screen.png
    wrote screen.png
    exit code 0

    $ qemuctl send-key vm ctrl-alt-delete
    exit code 0

    $ qemuctl send-key vm nosuchkey
    error: sending keys to vm failed: no key is called "nosuchkey"
    help: key names are QEMU's, such as ret, esc, spc, tab, f1, up, ctrl, alt, delete, a, 1
    exit code 1

    $ qemuctl type vm root --enter
    exit code 0

    $ qemuctl type vm π
    error: sending keys to vm failed: no key is called "π"
    help: only ASCII characters can be typed with the US layout
    exit code 1

    $ qemuctl vnc vm
    127.0.0.1:59NN (authentication: vnc)
    exit code 0

    $ qemuctl block insert vm cdrom0 medium.iso
    inserted DIR/medium.iso into cdrom0 of vm
    exit code 0

    $ qemuctl block insert vm cdrom0 gone.iso
    error: cannot open the image gone.iso: No such file or directory
    exit code 1

    $ qemuctl block eject vm cdrom0
    ejected the medium of cdrom0 of vm
    exit code 0

    $ qemuctl block eject vm cdrom7
    error: vm has no disk cdrom7
    help: did you mean `cdrom0`?
    exit code 1

    $ qemuctl throttle vm disk0 --bytes 10M --requests 100
    limits set on disk0 of vm
    exit code 0

    $ qemuctl throttle vm disk0
    removed the limits of disk0 of vm
    exit code 0

    $ qemuctl qmp vm no-such-command
    error: no-such-command: The command no-such-command has not been found (CommandNotFound)
    help: `qemuctl qmp vm query-commands` lists all of them
    exit code 1

    $ qemuctl wait vm --timeout 0
    error: vm is still running after 0s
    exit code 5

    $ qemuctl status wm
    error: no running VM called "wm" (looked in DIR/run)
    help: running VMs: vm
    exit code 3

    $ qemuctl reset vm
    reset vm
    exit code 0

    $ qemuctl stop vm --timeout 0 --quiet
    exit code 0

    $ qemuctl stop vm
    error: no running VM called "vm" (looked in DIR/run)
    help: no VM is running there; start one with `qemuctl run` or `qemuctl start`
    exit code 3
    "#);
    let picture = std::fs::read(place.file("screen.png")).expect("the screenshot is written");
    assert_eq!(&picture[..8], b"\x89PNG\r\n\x1a\n");
    assert!(place.leftovers().is_empty(), "{:?}", place.leftovers());
}

#[test]
fn a_qemu_that_hangs_is_listed_and_killed() {
    let place = Place::new();
    place.write("guest.raw", disk(DEAF));
    place.write("vm.toml", config("vm"));
    assert_eq!(place.qemuctl(&["start", "vm.toml"]).code, Some(0));
    let pid = place.pid("vm");
    kill(Pid::from_raw(pid), Signal::SIGSTOP).expect("the process is there");
    let list = place.qemuctl(&["list"]);
    assert!(list.out.contains(" unresponsive "), "{list:?}");
    insta::assert_snapshot!(place.qemuctl(&["kill", "vm"]).whole(), @"
    killed vm
    exit code 0
    ");
    assert!(place.qemuctl(&["list", "--names"]).out.is_empty());
}

#[test]
fn a_shell_completes_the_names_of_vms() {
    let place = Place::new();
    place.write("guest.raw", disk(DEAF));
    place.write("vm.toml", config("webserver"));
    assert_eq!(place.qemuctl(&["start", "vm.toml"]).code, Some(0));
    let offered: Vec<_> = ["sta", "status web", "cp web", "block re", "wait webserver --for pau", "run vm.t"]
        .iter()
        .map(|line| format!("{line}: {}", complete_in_bash(&place, line)))
        .collect();
    assert_eq!(place.qemuctl(&["kill", "webserver"]).code, Some(0));
    insta::assert_snapshot!(offered.join("\n"), @"
    sta: start status
    status web: webserver
    cp web: webserver:
    block re: remove resize
    wait webserver --for pau: paused
    run vm.t: vm.toml
    ");
}

/// What bash offers at the end of a line, as it does when Tab is pressed.
fn complete_in_bash(place: &Place, line: &str) -> String {
    let script = r#"
        source <(qemuctl completions bash)
        # The function that bash itself would call, which the script has registered.
        [[ $(complete -p qemuctl) =~ -F\ ([^ ]+) ]] || exit 9
        read -ra COMP_WORDS <<< "qemuctl $1"
        COMP_CWORD=$((${#COMP_WORDS[@]} - 1)) COMP_LINE="qemuctl $1" COMP_POINT=$((${#1} + 8)) COMP_TYPE=9
        "${BASH_REMATCH[1]}" qemuctl "${COMP_WORDS[COMP_CWORD]}" "${COMP_WORDS[COMP_CWORD - 1]}"
        echo "${COMPREPLY[@]}"
    "#;
    let bin = Path::new(env!("CARGO_BIN_EXE_qemuctl")).parent().expect("it is in a directory");
    let path = format!("{}:{}", bin.display(), std::env::var("PATH").expect("PATH is set"));
    let mut bash = Command::new("bash");
    bash.args(["--norc", "-c", script, "bash", line]).current_dir(place.file("")).env("PATH", path);
    let output = bash.env("QEMUCTL_SOCKET_DIR", place.sockets()).output().expect("bash starts");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    String::from_utf8(output.stdout).expect("text").trim().to_owned()
}

#[test]
fn every_subcommand_has_a_manual_page_and_help() {
    let place = Place::new();
    let help = place.qemuctl(&["--help"]);
    let names: Vec<&str> = help
        .out
        .lines()
        .skip_while(|line| *line != "Commands:")
        .skip(1)
        .take_while(|line| !line.is_empty())
        // Longer explanations go on below, further in.
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "))
        .filter_map(|line| line.split_whitespace().next())
        .filter(|name| *name != "help")
        .collect();
    assert!(names.len() > 20, "{names:?}");
    for name in names {
        let page = place.qemuctl(&["man", name]);
        assert!(
            page.code == Some(0) && page.out.contains(&format!(".TH qemuctl-{name}")),
            "{name}: {page:?}"
        );
    }
}
