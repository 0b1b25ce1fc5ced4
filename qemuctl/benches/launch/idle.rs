//! What a VM costs while nothing happens, and how long it takes to ask all of them.

use std::fs;
use std::time::{Duration, Instant};

use qemuctl::{Instance, State};
use rustix::process::{Pid, Signal, kill_process};
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::goals::{Goals, median_ms};
use crate::{Bench, Failure};

/// How many VMs are watched.
const VMS: usize = 200;
/// Memory of this process that one may take.
const MOST_KIB: f64 = 64.0;
/// How long all of them may take to tell their states, one of them being stopped.
const LIST_MS: f64 = 50.0;
/// How long one is waited for. It is after most of that time that those who are well have answered.
const ANSWER_WITHIN: Duration = Duration::from_millis(40);

pub fn run(bench: &Bench, runtime: &Runtime, goals: &mut Goals) -> Result<(), Failure> {
    runtime.block_on(async {
        let alone = wake_ups().await?;
        let mut owners = Vec::new();
        for number in 0..VMS {
            owners.push(Instance::start(&bench.config(&format!("vm{number}"))).await?);
        }
        let (threads, memory) = (count_threads()?, anonymous_kib()?);
        let mut attached = Vec::new();
        for owner in &owners {
            attached.push(Instance::attach(owner.socket().ok_or("it has a monitor")?).await?);
        }
        #[expect(clippy::cast_precision_loss, reason = "a few MiB, and 200")]
        let each = anonymous_kib()?.saturating_sub(memory) as f64 / VMS as f64;
        goals.at_most("KiB-per-watched-VM", each, MOST_KIB);
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        goals.at_most("threads-of-watching-200-VMs", count_threads()?.saturating_sub(threads) as f64, 0.0);
        // What was begun by attaching comes to its end.
        tokio::time::sleep(Duration::from_secs(1)).await;
        #[expect(clippy::cast_precision_loss, reason = "a handful")]
        goals.at_most(
            "wake-ups-for-400-idle-handles-in-2-s",
            wake_ups().await?.saturating_sub(alone) as f64,
            0.0,
        );
        list(&attached, goals).await
    })
}

/// How often this process runs while nothing happens for 2 s. The waiting itself is some of it.
async fn wake_ups() -> Result<u64, Failure> {
    let before = switches()?;
    tokio::time::sleep(Duration::from_secs(2)).await;
    Ok(switches()? - before)
}

async fn list(vms: &[Instance], goals: &mut Goals) -> Result<(), Failure> {
    let stopped = vms.first().and_then(Instance::pid).and_then(|pid| Pid::from_raw(i32::try_from(pid).ok()?));
    let stopped = stopped.ok_or("an attached VM has a process")?;
    kill_process(stopped, Signal::STOP)?;
    let mut times = Vec::new();
    let mut states = Vec::new();
    for _ in 0..5 {
        let began = Instant::now();
        let mut asked = JoinSet::new();
        for vm in vms {
            let vm = vm.clone();
            asked.spawn(async move { vm.query_state_timeout(ANSWER_WITHIN).await });
        }
        states = asked.join_all().await;
        times.push(began.elapsed());
    }
    kill_process(stopped, Signal::CONT)?;
    let answered = states.iter().filter(|state| **state == State::Running).count();
    println!(
        "{answered} of {VMS} answered, the others do not: {:?}",
        states.iter().find(|state| **state != State::Running)
    );
    goals.at_most("VMs-that-did-not-answer", f64::from(u32::try_from(VMS - answered)?), 1.0);
    goals.at_most("ms-to-list-200-VMs", median_ms(&mut times), LIST_MS);
    Ok(())
}

fn count_threads() -> Result<u64, Failure> {
    Ok(fs::read_dir("/proc/self/task")?.count() as u64)
}

/// Memory of this process that no file backs.
fn anonymous_kib() -> Result<u64, Failure> {
    field("/proc/self/status", "RssAnon:")
}

/// How often the threads of this process have given up the processor because they had nothing to do.
fn switches() -> Result<u64, Failure> {
    let mut sum = 0;
    for task in fs::read_dir("/proc/self/task")? {
        let status = task?.path().join("status");
        sum += field(&status.display().to_string(), "voluntary_ctxt_switches:")?;
    }
    Ok(sum)
}

fn field(path: &str, name: &str) -> Result<u64, Failure> {
    let text = fs::read_to_string(path)?;
    let line = text.lines().find_map(|line| line.strip_prefix(name)).ok_or("no such line in /proc")?;
    let number = line.split_whitespace().next().ok_or("no number in /proc")?;
    Ok(number.parse()?)
}
