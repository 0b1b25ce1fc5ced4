//! A storm: VMs are started and stopped while random signals hit QEMU, its launcher or both. Every end is told right, and at the
//! end nothing is left: no process, no file.

use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Stdio};
use std::thread::sleep;
use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use qemuctl::Instance;

use super::guest::{DEAF, config, disk};
use super::program::{Place, alive, until};
use crate::boot_sector::Guest;
use crate::own_process::{command, is_role};
use crate::support::qemu;

/// Tells the processes of one storm from all others.
const MARK: &str = "QEMUCTL_TEST_STORM";

/// Numbers that look random and are the same for the same seed.
struct Chance(u64);

impl Chance {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) % limit
    }

    fn of<T: Copy>(&mut self, choices: &[T]) -> T {
        let at = self.below(choices.len() as u64);
        choices[usize::try_from(at).expect("it is small")]
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Mode {
    Run,
    Start,
    Library,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Target {
    Qemu,
    Launcher,
    Both,
}

/// The processes of the storm `mark` that are not dead, with their command lines.
fn processes(mark: &str) -> Vec<(i32, String)> {
    let wanted = format!("{MARK}={mark}");
    let entries = std::fs::read_dir("/proc").expect("readable");
    let pids = entries.filter_map(|entry| entry.ok()?.file_name().to_str()?.parse::<i32>().ok());
    let ours = pids.filter(|pid| {
        std::fs::read(format!("/proc/{pid}/environ")).is_ok_and(|environment| {
            environment.split(|byte| *byte == 0).any(|entry| entry == wanted.as_bytes())
        })
    });
    let line = |pid: i32| std::fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
    ours.filter(|pid| alive(*pid)).map(|pid| (pid, line(pid).replace('\0', " "))).collect()
}

/// Those of them that run a VM called `name`, not a QEMU that is only asked what it can do.
fn qemus(mark: &str, name: &str) -> Vec<i32> {
    let is_vm = |line: &str| line.contains("qemu-system") && line.contains(&format!("guest={name} "));
    processes(mark).into_iter().filter(|(_, line)| is_vm(line)).map(|(pid, _)| pid).collect()
}

fn wait(launcher: &mut Child, limit: Duration) -> bool {
    let deadline = Instant::now() + limit;
    while Instant::now() < deadline {
        if launcher.try_wait().expect("ours").is_some() {
            return true;
        }
        sleep(Duration::from_millis(5));
    }
    false
}

/// As many starts and ends as that. `test` is the test that calls this, for the role of a program that uses the library.
pub fn storm(test: &str, cycles: usize, seed: u64) {
    if is_role(test) {
        let dir = std::path::PathBuf::from(std::env::var_os("QEMUCTL_TEST_DIR").expect("told"));
        let name = std::env::var("QEMUCTL_TEST_NAME").expect("told");
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(async {
            let config = Guest::Deaf.config(&qemu("10.0", "qemu-system-x86_64"), &dir, &name);
            let config = qemuctl::VmConfig { socket_dir: Some(dir.join("run")), ..config };
            if let Ok(vm) = Instance::start(&config).await {
                println!("\n{}", vm.wait().await);
            }
        });
        return;
    }
    let mut chance = Chance(seed);
    let place = Place::new();
    let mark = format!("{}-{seed}", std::process::id());
    place.write("guest.raw", disk(DEAF));
    for cycle in 0..cycles {
        let name = format!("vm{cycle}");
        place.write("vm.toml", config(&name));
        let mode = chance.of(&[Mode::Run, Mode::Start, Mode::Library]);
        let target = chance.of(&[Target::Qemu, Target::Qemu, Target::Launcher, Target::Both]);
        let signal = chance.of(&[
            Signal::SIGKILL,
            Signal::SIGTERM,
            Signal::SIGSEGV,
            Signal::SIGINT,
            Signal::SIGHUP,
            Signal::SIGABRT,
            Signal::SIGSTOP,
        ]);
        let delay = Duration::from_millis(chance.below(400));
        let deed = format!("cycle {cycle} of seed {seed}: {mode:?}, {signal} to {target:?} after {delay:?}");
        let mut program = match mode {
            Mode::Run => place.command(&["run", "--grace", "0", "vm.toml"]),
            Mode::Start => place.command(&["start", "vm.toml"]),
            Mode::Library => {
                let mut program = command(test);
                program.env("QEMUCTL_TEST_DIR", place.file("")).env("QEMUCTL_TEST_NAME", &name);
                program
            }
        };
        program.env(MARK, &mark).stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::piped());
        let mut launcher = program.spawn().expect("the program starts");
        let launcher_pid = i32::try_from(launcher.id()).expect("it fits");
        sleep(delay);
        let hit = qemus(&mark, &name);
        let mut targets = if target == Target::Launcher { Vec::new() } else { hit.clone() };
        if target != Target::Qemu && launcher.try_wait().expect("ours").is_none() {
            targets.push(launcher_pid);
        }
        for pid in &targets {
            // It may have ended meanwhile.
            let _ = kill(Pid::from_raw(*pid), signal);
        }
        if signal == Signal::SIGSTOP {
            sleep(Duration::from_millis(chance.below(200)));
            let then = chance.of(&[Signal::SIGCONT, Signal::SIGKILL]);
            for pid in &targets {
                let _ = kill(Pid::from_raw(*pid), then);
            }
        }
        let patience =
            if mode == Mode::Start { super::program::GENEROUS } else { Duration::from_millis(500) };
        if !wait(&mut launcher, patience) {
            let end = if mode == Mode::Library { Signal::SIGKILL } else { Signal::SIGTERM };
            kill(Pid::from_raw(launcher_pid), end).expect("it is ours");
            assert!(wait(&mut launcher, super::program::GENEROUS), "{deed}: the launcher hangs");
        }
        let output = launcher.wait_with_output().expect("it has ended");
        let said =
            format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
        assert!(!said.contains("panicked"), "{deed}: {said}");
        // A signal that nothing withstands is told as the reason, unless the launcher was hit too.
        let deadly = [(Signal::SIGKILL, 137), (Signal::SIGSEGV, 139), (Signal::SIGABRT, 134)];
        let code = deadly.iter().find(|(deadly, _)| *deadly == signal).map(|(_, code)| *code);
        if let Some(code) = code
            && mode == Mode::Run
            && target == Target::Qemu
            && !hit.is_empty()
        {
            let is_up = said.contains("(process ");
            let expected = if is_up { code } else { 1 };
            assert_eq!(output.status.code(), Some(expected), "{deed}: {said}");
            assert!(said.contains(signal.as_str()), "{deed}: {said}");
        }
        if mode == Mode::Start {
            // What runs is known, and what is known runs.
            until(&format!("{deed}: the launcher's other processes end: {said}"), || {
                processes(&mark).len() == qemus(&mark, &name).len()
            });
            let listed = place.qemuctl(&["list", "--names"]);
            let runs = qemus(&mark, &name);
            assert!(runs.len() < 2, "{deed}: {runs:?}");
            if !runs.is_empty() {
                assert_eq!(listed.out.trim(), name, "{deed}: {runs:?}, {listed:?}, {said}");
                let killed = place.qemuctl(&["kill", &name]);
                // It may have been about to end.
                let ended = killed.code == Some(3) && killed.err.contains("ended unobserved");
                assert!(ended || killed.code == Some(0), "{deed}: {killed:?}");
                until(&format!("{deed}: it ends"), || !alive(runs[0]));
            } else if output.status.code() == Some(0) {
                // It may have ended after it was listed.
                let told = [&listed.err, &place.qemuctl(&["list"]).err].iter().any(|err| !err.is_empty());
                assert!(told, "{deed}: its end is told: {listed:?}");
            }
        } else {
            until(&format!("{deed}: nothing runs on: {said}"), || processes(&mark).is_empty());
        }
        let listed = place.qemuctl(&["list"]);
        assert_eq!(place.leftovers(), [""; 0], "{deed}: {said}{listed:?}, {:?}", output.status.signal());
        // The name is free.
        if cycle % 5 == 0 {
            let again = place.qemuctl(&["start", "vm.toml"]);
            assert_eq!(again.code, Some(0), "{deed}: {again:?}");
            assert_eq!(place.qemuctl(&["stop", &name, "--timeout", "0"]).code, Some(0), "{deed}");
            assert_eq!(place.leftovers(), [""; 0], "{deed}, and a start and a stop");
        }
    }
}
