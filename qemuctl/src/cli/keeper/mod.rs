//! The keeper of a machine: a background process of this program that runs as long as the machine does.
//!
//! ```text
//! start ── starts ──▶ keeper ── starts ──▶ QEMU, detached: it outlives a keeper that is killed
//!   ▲                   │ events, end ──▶ events.jsonl, run.json
//!   └── one report ─────┘ ends when the VM has ended and is not to be started again
//! ```
//!
//! The keeper sends `start` one report, which `start` prints. After that it sleeps until something happens.

mod backoff;
mod report;
mod spawn;
mod watch;

pub(super) use spawn::start;

use std::os::fd::RawFd;
use std::time::Instant;

use qemuctl::config::Restart;
use qemuctl::home::Hold;
use qemuctl::{Instance, LaunchOptions, Ownership, SavedState};
use qmp_proto::Cont;
use serde_json::json;

use super::context::Context;
use super::exit::Exit;
use super::failure::Failure;
use super::launch::{launch, socket_dir};
use super::loaded::Loaded;
use super::signals::Signals;

use backoff::Backoff;
use report::Report;
pub(super) use watch::note;
use watch::{Running, Watched};

/// Starts a machine, reports that, and supervises it until it has stopped for good.
pub(super) async fn keep(load: impl Fn() -> Result<Loaded, Failure>, context: &Context) -> Exit {
    detach();
    let context = &context.silent();
    let first = async {
        let mut signals = Signals::listen()?;
        let loaded = load()?;
        let machine = loaded.machine().ok_or_else(|| Failure::new(Exit::NotFound, "the machine is gone"))?;
        let mut hold = machine.hold()?;
        let running = start_vm(&mut hold, loaded, &mut signals, context).await?;
        Report::of(&running.vm).await.send();
        Ok::<_, Failure>((hold, running, signals))
    };
    match Box::pin(first).await {
        Ok((hold, running, signals)) => Box::pin(stay(hold, running, signals, load, context)).await,
        Err(failure) => {
            Report::of_failure(&failure).send();
            failure.exit
        }
    }
}

/// Supervises a machine that is running already, after its keeper was killed.
pub(super) async fn adopt(load: impl Fn() -> Result<Loaded, Failure>, context: &Context) -> Exit {
    detach();
    let context = &context.silent();
    let first = async {
        let signals = Signals::listen()?;
        let loaded = load()?;
        let machine = loaded.machine().ok_or_else(|| Failure::new(Exit::NotFound, "the machine is gone"))?;
        let (mut hold, record) = machine.adopt()?;
        let dir = record.socket.parent().unwrap_or(&record.socket);
        let vm = Instance::attach_name_in(dir, &record.name).await?;
        hold.event("ADOPTED", &json!({ "pid": vm.pid() }));
        Report::new(format!("adopted {} (process {})", vm.name(), vm.pid().unwrap_or_default())).send();
        Ok::<_, Failure>((hold, Running { events: vm.events(), vm }, signals))
    };
    match Box::pin(first).await {
        Ok((hold, running, signals)) => Box::pin(stay(hold, running, signals, load, context)).await,
        Err(failure) => {
            Report::of_failure(&failure).send();
            failure.exit
        }
    }
}

/// Starts the machine's VM, and records a failure.
async fn start_vm(
    hold: &mut Hold,
    mut loaded: Loaded,
    signals: &mut Signals,
    context: &Context,
) -> Result<Running, Failure> {
    let mut options = LaunchOptions::default();
    hold.prepare(&mut loaded.config, &mut options)?;
    let is_to_run = options.resume.as_ref().map_or(!loaded.config.paused, SavedState::was_running);
    // The guest's CPUs are started after subscribing to events, so that none is missed.
    options.paused = true;
    hold.begin(&socket_dir(&loaded, context)?)?;
    let launched = async {
        let vm = launch(&loaded, Ownership::Detached, options, signals, context).await?;
        let events = vm.events();
        if is_to_run
            && let Err(error) = vm.execute(Cont {}).await
            && vm.exit().is_none()
        {
            vm.kill().await?;
            return Err(Failure::from(error));
        }
        Ok(Running { vm, events })
    };
    match launched.await {
        Ok(running) => {
            hold.started(running.vm.pid());
            Ok(running)
        }
        Err(failure) => {
            hold.failed(&failure.message)?;
            Err(failure)
        }
    }
}

/// Supervises the VM, and those that are started after it.
async fn stay(
    mut hold: Hold,
    running: Running,
    mut signals: Signals,
    load: impl Fn() -> Result<Loaded, Failure>,
    context: &Context,
) -> Exit {
    let mut backoff = Backoff::default();
    let mut began = Instant::now();
    let mut running = Some(running);
    loop {
        let well = match running.take() {
            Some(running) => {
                let Watched { exit, dismissed } = watch::over(running, &mut hold, &mut signals).await;
                // If this fails on a full disk, the event log may still have the end; there is nobody to report to.
                let _ = hold.ended(&exit);
                hold.machine().cut_logs();
                if dismissed {
                    return Exit::Done;
                }
                exit.reason.is_orderly()
            }
            None => false,
        };
        // Read the policy again, since it may have been changed during the run.
        let loaded = load();
        let again = match loaded.as_ref().map(|loaded| loaded.keep().restart) {
            Ok(Restart::Always) => true,
            Ok(Restart::OnFailure) => !well,
            _ => false,
        };
        if !again || hold.is_to_stay_down() {
            return Exit::Done;
        }
        let pause = backoff.after(began.elapsed());
        hold.event("RESTARTING", &json!({ "in_seconds": pause.as_secs() }));
        tokio::select! {
            () = tokio::time::sleep(pause) => {}
            _ = signals.next() => return Exit::Done,
        }
        if hold.is_to_stay_down() {
            return Exit::Done;
        }
        began = Instant::now();
        if let Ok(loaded) = loaded {
            // The failure was recorded; try again after a pause.
            running = start_vm(&mut hold, loaded, &mut signals, context).await.ok();
        }
    }
}

/// Detaches from the terminal, and closes inherited file descriptors.
fn detach() {
    // Fails for a process group leader, which is detached already.
    let _ = nix::unistd::setsid();
    let open = std::fs::read_dir("/proc/self/fd").map(|entries| {
        let number =
            |entry: std::io::Result<std::fs::DirEntry>| entry.ok()?.file_name().to_str()?.parse().ok();
        entries.filter_map(number).collect::<Vec<RawFd>>()
    });
    // Inherited are, for example, a shell's lock or a job's pipes. Unlike our own they are not close-on-exec.
    for fd in open.unwrap_or_default().into_iter().filter(|&fd| fd > 2) {
        if is_inherited(fd) {
            let _ = nix::unistd::close(fd);
        }
    }
}

fn is_inherited(fd: RawFd) -> bool {
    let facts = std::fs::read_to_string(format!("/proc/self/fdinfo/{fd}")).unwrap_or_default();
    let flags = facts.lines().find_map(|line| line.strip_prefix("flags:"));
    let flags = flags.and_then(|flags| i32::from_str_radix(flags.trim(), 8).ok());
    flags.is_some_and(|flags| flags & nix::libc::O_CLOEXEC == 0)
}
