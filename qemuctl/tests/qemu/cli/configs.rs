//! Configs from pipes, with many mistakes, of great size, and what `check` and `topology` say of whole machines.

use std::io::Write;
use std::process::Stdio;
use std::time::{Duration, Instant};

use super::guest::{DEAF, POWER_OFF, config, disk};
use super::program::{Answer, Place};

/// Runs the program with a text on its standard input.
fn with_input(place: &Place, args: &[&str], text: &str) -> Answer {
    let mut command = place.command(args);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("the program starts");
    let mut input = child.stdin.take().expect("piped");
    // One that has seen enough need not read on.
    let _ = input.write_all(text.as_bytes());
    drop(input);
    place.answer(&child.wait_with_output().expect("it ends"))
}

#[test]
fn a_config_through_a_pipe_is_read_whole() {
    let place = Place::new();
    place.write("guest.raw", disk(POWER_OFF));
    // Paths count from the current directory. Larger than what a pipe holds at a time.
    let text = format!("# {}\n{}", "x".repeat(100_000), config("vm"));
    let answer = with_input(&place, &["run", "/dev/stdin"], &text);
    assert!(answer.code == Some(0) && answer.out.starts_with("R\n"), "{answer:?}");

    let wrong = with_input(&place, &["check", "/dev/stdin"], &text.replace("memory", "memry"));
    assert!(wrong.code == Some(4) && wrong.err.contains("did you mean `memory`?"), "{wrong:?}");
    for command in ["check", "start", "argv"] {
        let empty = with_input(&place, &[command, "/dev/stdin"], "");
        assert!(empty.code == Some(4) && empty.err.contains("the file is empty"), "{empty:?}");
    }
}

#[test]
fn misplaced_secrets_are_not_repeated() {
    let place = Place::new();
    place.write("guest.raw", disk(DEAF));
    for line in [
        "vnc = { password = \"hunter2\" }",
        "vnc = { passwrod = \"hunter2\" }",
        "vnc = { password_secret = \"hunter2\" }",
        "vnc = { password = 4711 }",
        "password = \"hunter2\"",
        "secrets = \"hunter2\"",
        "secrets = [\"hunter2\"]",
        "networks = [{ backend = { type = \"user\", password = \"hunter2\" } }]",
        "spice = { password_secret = \"hunter2\" }",
        "spice = { password = \"hunter2\" }",
    ] {
        place.write("vm.toml", config("vm").replace("disks =", &format!("{line}\ndisks =")));
        for args in [&["check", "vm.toml"][..], &["check", "--json", "vm.toml"], &["run", "vm.toml"]] {
            let answer = place.qemuctl(args);
            assert_eq!(answer.code, Some(4), "{line}: {answer:?}");
            let whole = answer.whole();
            assert!(!whole.contains("hunter2") && !whole.contains("4711"), "{line}: {whole}");
        }
    }
}

/// Runs `check` on a text, which must be refused in bounded time, memory and words.
fn bounded(place: &Place, name: &str, text: &str) -> Answer {
    place.write(name, text);
    let begin = Instant::now();
    let mut command = std::process::Command::new("sh");
    // 3 GiB of addresses.
    command.args(["-c", "ulimit -v 3145728; exec \"$0\" check \"$1\"", env!("CARGO_BIN_EXE_qemuctl"), name]);
    command.current_dir(place.file("")).env("QEMUCTL_SOCKET_DIR", place.sockets());
    let answer = place.answer(&command.output().expect("the program starts"));
    assert!(answer.err.len() < 100_000, "{name}: {} bytes", answer.err.len());
    assert!(begin.elapsed() < Duration::from_secs(120), "{name}: {:?}", begin.elapsed());
    answer
}

#[test]
fn any_number_of_mistakes_costs_little() {
    let place = Place::new();
    let kib = |part: &str, kib: usize| part.repeat(kib * 1024 / part.len());
    let wrong = [
        ("line.toml", format!("networks = [{{{}", kib("'''", 512))),
        ("lines.toml", kib("= 5\n", 512)),
        ("twice.json", format!("{{{}\"b\":1}}", kib("\"a\":1,", 512))),
        ("deep.toml", format!("x = {}{}", "[".repeat(100_000), "]".repeat(100_000))),
        ("deep.json", format!("{{\"x\":{}{}}}", "[".repeat(100_000), "]".repeat(100_000))),
        ("word.toml", format!("memory = \"{}\"", kib("x", 512))),
        ("key.toml", format!("{} = 1", kib("x", 512))),
        ("missing.toml", format!("disks = [{}]", kib("{ backend = \"gone.raw\" },", 256))),
        (
            "same.toml",
            format!(
                "disks = [{}]",
                kib("{ id = \"a\", backend = { type = \"null\", size = \"1MiB\" } },", 256)
            ),
        ),
        ("iothreads.toml", format!("iothreads = [{}]", kib("\"a\",", 64))),
    ];
    for (name, text) in wrong {
        let accel = if name.ends_with("toml") { "machine = { accel = \"tcg\" }\n" } else { "" };
        let answer = bounded(&place, name, &format!("{accel}{text}"));
        assert_eq!(answer.code, Some(4), "{name}: {answer:?}");
    }
}

#[test]
fn great_numbers_are_refused_soon() {
    let place = Place::new();
    let qemu = crate::support::qemu("10.0", "qemu-system-x86_64").display().to_string();
    let tap = "backend = { type = \"tap\", open_by = \"launcher\", vhost = true }";
    let null = "backend = { type = \"null\", size = \"1MiB\" }";
    let wrong = [
        ("disk-queues.toml", format!("disks = [{{ {null}, queues = 65535 }}]"), "1 to 1024"),
        ("net-queues.toml", format!("networks = [{{ {tap}, queues = 65535 }}]"), "1 to 256"),
        ("disks.toml", format!("disks = [{}]", format!("{{ {null} }},").repeat(10_000)), "no room"),
        ("ports.toml", "hotplug_ports = 255".to_owned(), "hotplug_ports"),
    ];
    for (name, text, word) in wrong {
        let machine = format!("qemu = \"{qemu}\"\narch = \"x86_64\"\nmachine = {{ accel = \"tcg\" }}");
        let answer = bounded(&place, name, &format!("{machine}\n{text}\n"));
        assert!(answer.code == Some(4) && answer.err.contains(word), "{name}: {answer:?}");
    }
}

#[test]
fn what_is_wrong_in_the_text_hides_nothing_else() {
    let place = Place::new();
    let lines = "memry = \"1GiB\"\nuuid = \"no\"\ndisks =";
    place.write("vm.toml", config("vm").replace("disks =", lines).replace("guest.raw", "gone.raw"));
    let answer = place.qemuctl(&["check", "vm.toml"]);
    for word in ["unknown field `memry`", "is not a valid UUID", "gone.raw: No such file"] {
        assert!(answer.err.contains(word), "{word}: {answer:?}");
    }
}

#[test]
fn machines_with_uefi_can_be_checked_and_drawn() {
    let place = Place::new();
    place.write("guest.raw", disk(DEAF));
    place.write("vm.toml", config("vm").replace("disks =", "firmware = \"uefi\"\ndisks ="));
    let program = crate::support::qemu("10.0", "qemu-system-aarch64").display().to_string();
    for command in ["check", "topology", "argv"] {
        let ways: [&[&str]; 2] =
            [&["vm.toml"], &["guest.raw", "--arch", "aarch64", "--accel", "tcg", "--qemu", &program]];
        for way in ways {
            let answer = place.qemuctl(&[&[command], way].concat());
            assert_eq!(answer.code, Some(0), "{command} {way:?}: {answer:?}");
        }
    }
}
