//! Every machine type of every architecture, described by nothing but its name: `check` says what QEMU does.

use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicUsize, Ordering};

use qemu_argv::{AccelChoice, Arch, Endpoints, Machine, VmConfig, plan};
use qemuctl::launch::{LaunchOptions, Qemu, check_board};
use qemuctl::{Error, Instance};

use super::support::dir_from;

/// What came of one machine.
enum Outcome {
    Started,
    /// `check` refuses it, and so does QEMU with nothing but `-M`.
    Refused,
    /// Anything else.
    Wrong(String),
}

/// Tries every machine type of that QEMU. Some need a kernel or firmware that is not there; all others start.
pub async fn every_board(version: &str) {
    let bin = dir_from("QEMUCTL_QEMUS_DIR", "qemus").join(version).join("bin");
    let mut boards = Vec::new();
    for arch in Arch::all() {
        let program = bin.join(format!("qemu-system-{}", arch.qemu_name()));
        if program.exists() {
            let probe = qemu_discovery::probe(&program).await.expect("it answers");
            boards.extend(probe.machines.iter().map(|machine| (program.clone(), arch, machine.name.clone())));
        }
    }
    assert!(boards.len() > 400, "{} boards", boards.len());
    let boards = std::sync::Arc::new(boards);
    let next = std::sync::Arc::new(AtomicUsize::new(0));
    let workers = [(); 3].map(|()| {
        let (boards, next) = (boards.clone(), next.clone());
        tokio::spawn(async move {
            let dir = tempfile::tempdir().expect("a directory");
            let (mut started, mut refused, mut wrong) = (0, 0, Vec::new());
            while let Some((program, arch, machine)) = boards.get(next.fetch_add(1, Ordering::Relaxed)) {
                match one(program, *arch, machine, dir.path()).await {
                    Outcome::Started => started += 1,
                    Outcome::Refused => refused += 1,
                    Outcome::Wrong(why) => wrong.push(format!("{} {machine}: {why}", arch.qemu_name())),
                }
            }
            (started, refused, wrong)
        })
    });
    let (mut started, mut refused, mut wrong) = (0, 0, Vec::new());
    for worker in workers {
        let result = worker.await.expect("no panic");
        started += result.0;
        refused += result.1;
        wrong.extend(result.2);
    }
    println!("QEMU {version}: {started} boards start, {refused} are refused");
    assert!(wrong.is_empty(), "{} of {} boards:\n{}", wrong.len(), boards.len(), wrong.join("\n"));
}

async fn one(program: &Path, arch: Arch, machine: &str, dir: &Path) -> Outcome {
    let config = VmConfig {
        name: Some(format!("{}-{machine}", arch.qemu_name()).replace('_', "-")),
        arch: Some(arch),
        qemu: Some(program.into()),
        machine: Machine { kind: Some(machine.into()), accel: AccelChoice::Tcg, ..Machine::default() },
        paused: true,
        ..VmConfig::default()
    };
    let qemu = match Qemu::find(&config).await {
        Ok(qemu) => qemu,
        Err(error) => return Outcome::Wrong(error.to_string()),
    };
    let endpoints = Endpoints { qmp_fd: Some(0), ..Endpoints::default() };
    let checked = match plan(&config, &qemu.target, &endpoints) {
        Ok(plan) => check_board(&qemu, &config, &plan).await,
        Err(error) => Err(Error::Plan(error)),
    };
    match checked {
        Ok(()) => {}
        Err(Error::Plan(error)) => {
            return match (plain_start(program, machine), error.to_string()) {
                (true, why) => Outcome::Wrong(format!("refused, but it starts: {why}")),
                (false, why) if why.contains(machine) => Outcome::Refused,
                (false, why) => Outcome::Wrong(format!("refused without its name: {why}")),
            };
        }
        Err(error) => return Outcome::Wrong(error.to_string()),
    }
    let options = LaunchOptions { socket_dir: Some(dir.into()), ..LaunchOptions::default() };
    match Instance::start_with(&config, &options).await {
        Ok(vm) => match vm.kill().await {
            Ok(_) => Outcome::Started,
            Err(error) => Outcome::Wrong(error.to_string()),
        },
        Err(error) => Outcome::Wrong(format!("called valid, but: {error}")),
    }
}

/// Whether it starts with nothing but `-M`.
fn plain_start(program: &Path, machine: &str) -> bool {
    let mut qemu = Command::new(program);
    qemu.args([
        "-M",
        machine,
        "-S",
        "-display",
        "none",
        "-monitor",
        "stdio",
        "-serial",
        "none",
        "-parallel",
        "none",
    ]);
    // Its standard input has ended: a monitor that is there then leaves QEMU running, so it is told to quit.
    qemu.stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::null());
    let mut child = qemu.spawn().expect("it starts");
    let mut input = child.stdin.take().expect("a pipe");
    // A QEMU that has ended reads nothing.
    let _ = std::io::Write::write_all(&mut input, b"quit\n");
    drop(input);
    child.wait().expect("it ends").success()
}
