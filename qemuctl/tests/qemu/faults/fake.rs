//! A stand-in for QEMU that does everything right until it is told to stop.
//!
//! It is a copy of the test program in another role, behind a script that is the real QEMU for everything but the VM `vm`.

use std::env;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use rustix::process::{Signal, getpid, kill_process};
use serde_json::{Value, json};

use super::impostors::impostor;
use crate::own_process::{ROLE, is_role};

/// The steps of a launch as QEMU sees them, in order: before it greets, after that, and before it answers these commands.
pub const STEPS: [&str; 5] = ["start", "greeting", "qmp_capabilities", "cont", "query-status"];

/// What the guest prints before `cont` is answered.
pub const LAST_LINE: &str = "the guest's last words";

/// The stand-in that tells the socket `tell` when it comes to `step`, and then does `deed`: the name of a signal to send to
/// itself, or `wait` to wait for ever. `test` is the test that calls [`play`] in its role.
pub fn script(dir: &Path, test: &str, step: &str, deed: &str, tell: &Path) -> PathBuf {
    let program = env::current_exe().expect("the test program has a path");
    impostor(
        dir,
        &format!(
            "exec env {ROLE}='{}' FAKE_DIR='{}' FAKE_STEP='{step}' FAKE_DEED='{deed}' FAKE_TELL='{}' '{}' --exact {test} --nocapture --test-threads=1",
            role(test),
            dir.display(),
            tell.display(),
            program.display(),
        ),
    )
}

fn role(test: &str) -> String {
    format!("{test} as QEMU")
}

/// Whether this process is to [`play`].
pub fn is_fake(test: &str) -> bool {
    is_role(&role(test))
}

/// Plays QEMU.
pub fn play() -> ! {
    let stdin = std::io::stdin().as_fd().try_clone_to_owned().expect("there is one");
    let mut monitor = UnixStream::from(stdin);
    let dir = PathBuf::from(env::var_os("FAKE_DIR").expect("told"));
    reach("start");
    let console = UnixListener::bind(dir.join("vm.console0.sock")).expect("bound");
    let version = json!({ "qemu": { "major": 10, "minor": 0, "micro": 0 }, "package": "" });
    say(&mut monitor, &json!({ "QMP": { "version": version, "capabilities": ["oob"] } }));
    reach("greeting");
    // Messages need no line ends between them.
    let reader = monitor.try_clone().expect("cloned");
    for request in serde_json::Deserializer::from_reader(reader).into_iter::<Value>() {
        let request = request.expect("JSON");
        let command = request["execute"].as_str().or(request["exec-oob"].as_str()).expect("a command");
        if command == "cont" {
            let (mut guest, _) = console.accept().expect("connected");
            writeln!(guest, "{LAST_LINE}").expect("printed");
            // The console stays open for as long as this process lives.
            std::mem::forget(guest);
        }
        reach(command);
        let reply = match command {
            "query-status" => json!({ "status": "running", "running": true, "singlestep": false }),
            _ => json!({}),
        };
        let mut message = json!({ "return": reply });
        // QEMU repeats an id, and a command that is alone comes without.
        if let Some(id) = request.get("id") {
            message["id"] = id.clone();
        }
        say(&mut monitor, &message);
    }
    std::process::exit(0)
}

fn say(monitor: &mut UnixStream, message: &Value) {
    monitor.write_all(format!("{message}\r\n").as_bytes()).expect("written");
}

/// Does what there is to be done at this step.
fn reach(step: &str) {
    let told = |name| env::var(name).expect("told");
    if told("FAKE_STEP") != step {
        return;
    }
    // Open until this process ends: so its end is seen at the other end.
    let mut tell = UnixStream::connect(told("FAKE_TELL")).expect("somebody listens");
    tell.write_all(b"!").expect("told");
    let signal = match told("FAKE_DEED").as_str() {
        "KILL" => Some(Signal::KILL),
        "SEGV" => Some(Signal::SEGV),
        "STOP" => Some(Signal::STOP),
        _ => None,
    };
    if let Some(signal) = signal {
        kill_process(getpid(), signal).expect("signalled");
        // Rust's own handler takes the first SIGSEGV for a stack that has overflown, and lets a later one do its work.
        if signal == Signal::SEGV {
            loop {
                std::thread::yield_now();
                kill_process(getpid(), signal).expect("signalled");
            }
        }
    }
    // Until whoever listens is gone, and then for ever.
    let _ = tell.read(&mut [0]);
    loop {
        std::thread::park();
    }
}
