//! Command lines that become configs, and the same machine on a real QEMU.

use std::io::{BufRead, BufReader, Write};
use std::process::{Command, Stdio};

use serde_json::{Value, json};

use super::program::Place;
use crate::support::qemu;

/// What a machine is asked for, plain or ours.
const QUESTIONS: [(&str, &str); 5] = [
    ("query-cpus-fast", "{}"),
    ("query-memory-size-summary", "{}"),
    ("query-block", "{}"),
    ("human-monitor-command", "{\"command-line\":\"info qtree\"}"),
    ("human-monitor-command", "{\"command-line\":\"info network\"}"),
];

/// The answers of plain QEMU to these words.
fn plain(place: &Place, words: &[&str]) -> Vec<Value> {
    let mut child = Command::new(qemu("10.0", words[0]))
        .args(&words[1..])
        .args(["-S", "-display", "none", "-qmp", "stdio"])
        .current_dir(place.file("."))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .expect("QEMU starts");
    let mut input = child.stdin.take().expect("piped");
    writeln!(input, "{}", json!({ "execute": "qmp_capabilities" })).expect("QEMU reads");
    for (command, arguments) in QUESTIONS {
        let arguments: Value = serde_json::from_str(arguments).expect("JSON");
        writeln!(input, "{}", json!({ "execute": command, "arguments": arguments })).expect("QEMU reads");
    }
    writeln!(input, "{}", json!({ "execute": "quit" })).expect("QEMU reads");
    let lines = BufReader::new(child.stdout.take().expect("piped")).lines();
    let answers: Vec<Value> = lines
        .map(|line| serde_json::from_str::<Value>(&line.expect("text")).expect("JSON"))
        .filter_map(|message| message.get("return").cloned())
        .collect();
    assert!(child.wait().expect("QEMU ends").success());
    // The first is of the greeting, the last of the end.
    answers[1..=QUESTIONS.len()].to_vec()
}

/// The answers of a machine of ours.
fn ours(place: &Place, name: &str) -> Vec<Value> {
    let ask = |(command, arguments): (&str, &str)| {
        let answer = place.qemuctl(&["qmp", name, command, arguments]);
        assert_eq!(answer.code, Some(0), "{answer:?}");
        serde_json::from_str(&answer.out).expect("JSON")
    };
    QUESTIONS.into_iter().map(ask).collect()
}

/// What makes a machine, of the answers: without names, places, and ports that are there for more devices.
fn machine(answers: &[Value]) -> Vec<String> {
    let mut found = vec![format!("memory {}", answers[1]["base-memory"])];
    for cpu in answers[0].as_array().expect("a list") {
        found.push(format!("processor {} {}", cpu["cpu-index"], cpu["props"]));
    }
    let mut blocks: Vec<String> = answers[2]
        .as_array()
        .expect("a list")
        .iter()
        .filter_map(|block| block.get("inserted"))
        .map(|inserted| {
            let image = &inserted["image"];
            let name = image["filename"].as_str().expect("a name").rsplit('/').next().unwrap_or_default();
            let name = name.split('"').next().unwrap_or_default();
            format!("image {name} {} read-only {} {}", image["format"], inserted["ro"], inserted["cache"])
        })
        .collect();
    blocks.sort();
    let tree = answers[3].as_str().expect("text");
    let mut devices: Vec<String> = tree
        .lines()
        .filter_map(|line| line.trim_start().strip_prefix("dev: "))
        .filter_map(|device| device.split(',').next())
        .filter(|driver| !matches!(*driver, "pcie-root-port" | "isa-parallel" | "floppy"))
        .map(|driver| format!("device {driver}"))
        .collect();
    devices.sort();
    let network = answers[4].as_str().expect("text");
    let addresses = network.split(['=', ',', '\n', '\r', ' ']).filter(|word| word.starts_with("52:54:"));
    found.extend(blocks);
    found.extend(devices);
    found.extend(addresses.map(str::to_owned));
    found
}

/// Imports a command line, starts what comes out, and compares it with plain QEMU.
fn same_machine(name: &str, line: &str) {
    let place = Place::new();
    let image = Command::new(qemu("10.0", "qemu-img"))
        .args(["create", "-q", "-f", "qcow2", "root.qcow2", "64M"])
        .current_dir(place.file("."))
        .status();
    assert!(image.expect("qemu-img starts").success());
    place.write("install.iso", vec![0; 1 << 20]);
    let words: Vec<&str> = line.split_whitespace().collect();
    let expected = machine(&plain(&place, &words));

    let program = qemu("10.0", words[0]).display().to_string();
    let mut arguments = vec!["import", "--output", "vm.toml", "--", &program];
    arguments.extend(&words[1..]);
    arguments.extend(["-name", name]);
    let imported = place.qemuctl(&arguments);
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let checked = place.qemuctl(&["check", "vm.toml"]);
    assert_eq!(checked.code, Some(0), "{checked:?}");
    let started = place.qemuctl(&["start", "--quiet", "--paused", "vm.toml"]);
    assert_eq!(started.code, Some(0), "{started:?}");
    assert_eq!(machine(&ours(&place, name)), expected, "{}", imported.whole());
    let killed = place.qemuctl(&["kill", "--quiet", name]);
    assert_eq!(killed.code, Some(0), "{killed:?}");
}

#[test]
fn a_pc_of_today_is_the_same_machine() {
    same_machine(
        "today",
        "qemu-system-x86_64 -machine q35 -accel tcg -cpu max -smp 4,sockets=1,cores=2,threads=2 -m 256 \
         -drive file=root.qcow2,if=virtio,cache=none,discard=unmap -cdrom install.iso -boot order=dc,menu=on \
         -nic user,model=virtio-net-pci,hostfwd=tcp:127.0.0.1:0-:22 -vga virtio -usb -device usb-tablet -rtc base=localtime",
    );
}

#[test]
fn what_qemu_adds_by_itself_is_there() {
    same_machine("default", "qemu-system-x86_64 -m 64M root.qcow2");
}

#[test]
fn devices_by_name_are_the_same_machine() {
    same_machine(
        "named",
        "qemu-system-x86_64 -nodefaults -M q35 -m size=128M,slots=2,maxmem=1G -device virtio-scsi-pci,id=s0 \
         -blockdev driver=file,node-name=f0,filename=root.qcow2 -blockdev driver=qcow2,node-name=d0,file=f0 \
         -device scsi-hd,drive=d0,bus=s0.0,bootindex=1 -drive if=none,id=cd,media=cdrom,file=install.iso -device ide-cd,drive=cd \
         -netdev user,id=n0 -device virtio-net-pci,netdev=n0,mac=52:54:00:ab:cd:ef -netdev user,id=n1 -device e1000e,netdev=n1 \
         -object rng-random,filename=/dev/urandom,id=r0 -device virtio-rng-pci,rng=r0 -device virtio-balloon-pci -device i6300esb \
         -device qemu-xhci -device usb-kbd -device usb-mouse -audiodev none,id=snd -device ich9-intel-hda -device hda-duplex,audiodev=snd \
         -device pvpanic -device isa-debug-exit -object iothread,id=io -device edu -serial null -serial null",
    );
}

#[test]
fn an_arm_board_is_the_same_machine() {
    same_machine(
        "arm",
        "qemu-system-aarch64 -M virt,gic-version=3 -accel tcg -cpu cortex-a57 -smp 2 -m 128 -drive file=root.qcow2,if=virtio,format=qcow2 \
         -device virtio-gpu-pci -device qemu-xhci -device usb-kbd -device usb-tablet -serial null",
    );
}

/// A VM that runs, of this program's own: its config comes back.
#[test]
fn a_running_process_is_imported() {
    let place = Place::new();
    let program = qemu("10.0", "qemu-system-x86_64").display().to_string();
    place.write(
        "web.toml",
        format!(
            "name = \"web\"\nqemu = \"{program}\"\nmemory = \"64MiB\"\nmachine = {{ accel = \"tcg\" }}\n\
             networks = [\"user\"]\nserials = [\"null\", {{ device = \"virtio\" }}]\nguest_agent = true\nrng = {{}}\n"
        ),
    );
    let started = place.qemuctl(&["start", "--quiet", "--paused", "web.toml"]);
    assert_eq!(started.code, Some(0), "{started:?}");
    let pid = place.pid("web").to_string();
    let imported = place.qemuctl(&["import", "--pid", &pid, "--output", "back.toml"]);
    assert_eq!(imported.code, Some(0), "{imported:?}");
    let before = place.qemuctl(&["argv", "web.toml"]);
    let after = place.qemuctl(&["argv", "back.toml"]);
    // This QEMU is a script that says where its files are, and so it is the program behind it that runs.
    let lines = |out: &str| -> Vec<String> {
        let lines = out.lines().skip(1).map(|line| line.trim_end_matches(" \\").trim_start().to_owned());
        lines.filter(|line| !line.starts_with("-L ")).collect()
    };
    assert_eq!((before.code, after.code), (Some(0), Some(0)), "{after:?}");
    assert_eq!(lines(&after.out), lines(&before.out));
    assert_eq!(place.qemuctl(&["kill", "--quiet", "web"]).code, Some(0));
}

#[test]
fn a_script_is_imported_with_comments() {
    let place = Place::new();
    place.write(
        "run.sh",
        "#!/bin/sh\n# Starts it.\nexec qemu-system-x86_64 -name 'web 1' -machine q35 -m 2G \\\n  \
         -drive file=web.qcow2,if=virtio -nic user,model=virtio,hostfwd=tcp::2222-:22 -vga none \\\n  \
         -daemonize -monitor stdio -d guest_errors -D 'a\tb.log' -object can-bus,id=can0 -vnc :1\n",
    );
    insta::assert_snapshot!(place.qemuctl(&["import", "run.sh"]).whole());
    let json = place.qemuctl(&["import", "--json", "run.sh"]);
    let json: Value = serde_json::from_str(&json.out).expect("JSON");
    assert_eq!(json["config"]["memory"]["size"], "2GiB");
    let notes = json["notes"].as_array().expect("a list");
    let note = notes.iter().find(|note| note["argument"] == "-daemonize").expect("it is left out");
    assert_eq!((&note["index"], &note["outcome"]), (&json!(13), &json!("dropped")));
}

#[test]
fn mistakes_are_told_by_argument() {
    let place = Place::new();
    place.write("there.toml", "");
    place.write("quotes.sh", "qemu-system-x86_64 -name 'web -m 2G\n");
    place.write("variables.sh", "qemu-system-x86_64 -m 2G -hda \"$DISK\"\n");
    let told = [
        &["import", "--", "qemu-system-x86_64", "-m", "2G", "-frobnicate"][..],
        &["import", "--", "qemu-system-x86_64", "-device", "{\"driver\""],
        &["import", "--", "qemu-system-x86_64", "-m"],
        &["import", "--", "ls"],
        &["import", "quotes.sh"],
        &["import", "variables.sh"],
        &["import", "nowhere.sh"],
        &["import", "--pid", "4194305"],
        &["import", "--output", "there.toml", "--", "qemu-system-x86_64"],
        &["import"],
    ]
    .map(|arguments| place.qemuctl(arguments).whole());
    insta::assert_snapshot!(told.join("\n\n"));
}
