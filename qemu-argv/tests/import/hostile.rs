//! Command lines that nobody means: each is refused in words that name the argument, or imported; none is a panic.

use proptest::prelude::*;
use proptest::test_runner::{Config, TestCaseError, TestRunner};
use qemu_argv::import::{Import, Outcome, import, script_words};

use crate::support::{VERSIONS, machines, planned};

/// Says how many command lines each test tries. A million is for a night, or for a release build.
const CASES: &str = "QEMU_ARGV_IMPORT_CASES";

/// Options and words that lead into every part of the import.
const WORDS: &[&str] = &[
    "-m",
    "-M",
    "-machine",
    "-smp",
    "-cpu",
    "-accel",
    "-drive",
    "-device",
    "-blockdev",
    "-object",
    "-netdev",
    "-nic",
    "-net",
    "-chardev",
    "-serial",
    "-audiodev",
    "-vnc",
    "-spice",
    "-display",
    "-tpmdev",
    "-fsdev",
    "-virtfs",
    "-fw_cfg",
    "-smbios",
    "-numa",
    "-global",
    "-boot",
    "-rtc",
    "-name",
    "-uuid",
    "-hda",
    "-cdrom",
    "-pflash",
    "-bios",
    "-kernel",
    "-append",
    "-mon",
    "-monitor",
    "-qmp",
    "-S",
    "-s",
    "-usb",
    "-usbdevice",
    "-nographic",
    "-snapshot",
    "-nodefaults",
    "-no-user-config",
    "-sandbox",
    "-daemonize",
    "-action",
    "-incoming",
    "-overcommit",
    "-vga",
    "-k",
    "-mem-path",
    "--",
    "-",
    "",
    "disk.qcow2",
    "q35",
    "pc",
    "virtio-blk-pci,drive=a,id=a",
    "driver=qcow2,node-name=a,file=a",
    "qcow2,node-name=a,file=b,backing=a",
    "file,node-name=b,filename=/x",
    "driver=throttle,node-name=a,throttle-group=a,file=a",
    "if=none,id=a,file=/x",
    "file=/x,if=virtio",
    "if=pflash,file=/x,readonly=on",
    "if=pflash,unit=1,file=/y",
    "socket,id=a,path=/x,server=on,wait=off",
    "a,b,,c=,=d",
    "user,id=a,hostfwd=tcp::1-:2",
    "virtio-net-pci,netdev=a",
    "user,model=e1000",
    "nic",
    "none",
    "chardev:a",
    "mon:stdio",
    "tcp::4444,server",
    "hda-duplex,audiodev=a",
    "intel-hda",
    "none,id=a",
    "qemu-xhci,id=x",
    "usb-tablet,bus=x.0",
    "virtio-scsi-pci,id=x",
    "scsi-hd,drive=a,bus=x.0",
    "pcie-root-port,id=x,chassis=1",
    "edu",
    "type=1,serial=x",
    ":1,to=9",
    "memory-backend-memfd,id=a,size=1G",
    "q35,memory-backend=a",
    "node,memdev=a,nodeid=0",
    "dist,src=0,dst=1,val=20",
    "{\"driver\":\"edu\"}",
    "{\"driver\":\"virtio-blk-pci\",\"drive\":\"a\",\"bus\":\"rp1\",\"addr\":\"0x0\"}",
    "{\"qom-type\":\"iothread\",\"id\":\"a\"}",
    "{",
    "{}",
    "[]",
    "{\"driver\":{\"driver\":[null,1,-1,18446744073709551615]}}",
    "file.file.file.file.file=1",
    "99999999999999999999",
    "0x",
    "-1",
    "1T",
    "16777216T",
    "on",
    "help",
    "?",
    "guest=a",
    "type=q35,dump-guest-core=off",
];

fn word() -> impl Strategy<Value = String> {
    prop_oneof![
        6 => proptest::sample::select(WORDS).prop_map(str::to_owned),
        1 => ".{0,40}",
        1 => "[-a-z=,.:{}\"0-9]{0,40}",
        1 => (proptest::sample::select(WORDS), proptest::sample::select(WORDS))
            .prop_map(|(one, other)| format!("{one},{other}")),
    ]
}

fn cases() -> u32 {
    #[expect(clippy::disallowed_methods, reason = "the crate reads no variable, its tests do")]
    let given = std::env::var(CASES).ok();
    given.map_or(3000, |text| text.parse().expect("a number of command lines"))
}

/// What holds of everything that is imported.
fn check(words: &[String]) -> Result<(), TestCaseError> {
    let Import { config, notes, .. } = match import(words) {
        Ok(imported) => imported,
        Err(error) => {
            prop_assert!(error.index < words.len().max(1), "{error}");
            prop_assert!(!error.why.is_empty());
            return Ok(());
        }
    };
    for note in &notes {
        prop_assert!(!note.reason.is_empty(), "{note:?}");
        prop_assert!(note.index < words.len().max(1), "{note:?}");
        if let Outcome::Kept(range) = &note.outcome {
            prop_assert!(range.start < range.end && range.end <= config.extra_args.len(), "{note:?}");
        }
    }
    // Whatever it is, a plan is made of it or it is refused.
    let _ = planned(&config, VERSIONS[2]);
    let _ = import(words).map(|again| assert_eq!(again.config, config));
    Ok(())
}

fn run<S: Strategy>(cases: u32, strategy: &S, test: impl Fn(S::Value) -> Result<(), TestCaseError>) {
    let config = Config { cases, failure_persistence: None, ..Config::default() };
    if let Err(error) = TestRunner::new(config).run(strategy, test) {
        panic!("{error}");
    }
}

#[test]
fn no_command_line_makes_the_import_panic() {
    run(cases(), &prop::collection::vec(word(), 0..24), |words| check(&words));
}

/// Rendered command lines in which words are lost, doubled, swapped and cut.
#[test]
fn no_damaged_command_line_makes_the_import_panic() {
    let lines: Vec<Vec<String>> = machines()
        .iter()
        .filter_map(|machine| {
            let plan = planned(&machine.config, VERSIONS[2]).ok()?;
            Some(plan.command_line().args().map(|arg| arg.to_string_lossy().into_owned()).collect())
        })
        .collect();
    let places =
        prop::collection::vec((0_u8..5, any::<prop::sample::Index>(), any::<prop::sample::Index>()), 1..6);
    run(cases() / 10, &(proptest::sample::select(lines), places), |(mut words, damages)| {
        for (kind, one, other) in damages {
            if words.is_empty() {
                break;
            }
            let (one, other) = (one.index(words.len()), other.index(words.len()));
            match kind {
                0 => drop(words.remove(one)),
                1 => words.insert(other, words[one].clone()),
                2 => words.swap(one, other),
                3 => {
                    let end = words[one].char_indices().nth(other).map_or(words[one].len(), |(end, _)| end);
                    words[one].truncate(end);
                }
                _ => words[one] = words[one].replace("disk0", "disk1"),
            }
        }
        check(&words)
    });
}

#[test]
fn no_script_makes_the_import_panic() {
    let piece = prop_oneof![
        word(),
        proptest::sample::select(
            &["'", "\"", "\\", "$", "`", "#", ";", "\n", "$(", "${", "qemu-system-x86_64", " "][..]
        )
        .prop_map(str::to_owned),
    ];
    run(cases(), &prop::collection::vec(piece, 0..30), |pieces| {
        if let Ok(words) = script_words(&pieces.join(" ")) {
            check(&words)?;
        }
        let _ = script_words(&pieces.concat());
        Ok(())
    });
}

/// Each mistake names the argument, by number and text.
#[test]
fn mistakes_name_the_argument() {
    let told = |words: &[&str]| import(words).expect_err("it is a mistake").to_string();
    let qemu = "qemu-system-x86_64";
    let long = "x".repeat(5000);
    let shown = [
        told(&[qemu, "-m", "1G", "-frobnicate", "on"]),
        told(&[qemu, "-m"]),
        told(&[qemu, "-device", "{\"driver\":\"edu\""]),
        told(&[qemu, "-netdev", "user,id=a,=x"]),
        told(&[qemu, "-blockdev", "driver=file,file=a,file.x=b"]),
        told(&[qemu, "-object", "secret,id=s,data=hunter2,=x"]),
        told(&[qemu, "-m", "lots"]),
        told(&[qemu, "-smp", "two"]),
        told(&[qemu, "-machine", "q35,usb=perhaps"]),
        told(&["vi", "file"]),
        told(&["qemu-system-vax"]),
        told(&["sudo", qemu, "-hda"]),
        told(&[qemu, "-name", "a\0b"]),
        told(&[qemu, "-drive", &format!("file={long},=")]),
    ];
    insta::assert_snapshot!(shown.join("\n"));
}
