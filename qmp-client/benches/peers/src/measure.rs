//! Clocks, memory and statistics.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::sys::resource::{UsageWho, getrusage};
use nix::sys::time::TimeValLike;

/// The processor time this process has used, all threads together.
pub fn cpu() -> Duration {
    let usage = getrusage(UsageWho::RUSAGE_SELF).expect("a process may ask for its own usage");
    let micros = usage.user_time().num_microseconds() + usage.system_time().num_microseconds();
    Duration::from_micros(micros.unsigned_abs())
}

/// The processor time that all threads but this one have used, to the nanosecond.
pub fn other_threads() -> Result<Duration> {
    let own = nix::unistd::gettid().to_string();
    let mut used = 0;
    for thread in std::fs::read_dir("/proc/self/task").context("cannot list this process's threads")? {
        let thread = thread?;
        if thread.file_name() != *own {
            let times = std::fs::read_to_string(thread.path().join("schedstat"))?;
            used += times.split(' ').next().context("no time")?.parse::<u64>()?;
        }
    }
    Ok(Duration::from_nanos(used))
}

/// The resident memory of this process, in KiB.
pub fn resident_kib() -> Result<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmRSS:")).context("no VmRSS")?;
    Ok(line.trim().trim_end_matches("kB").trim().parse()?)
}

/// What a run of `count` commands took.
#[derive(Clone, Copy, Debug)]
pub struct Cost {
    /// Commands a second.
    pub rate: f64,
    /// Processor time of the client, in microseconds a command.
    pub cpu_us: f64,
}

/// Starts to measure; the closure ends it.
pub fn start() -> impl FnOnce(usize) -> Cost {
    let (clock, used) = (Instant::now(), cpu());
    move |count| {
        let (wall, used) = (clock.elapsed(), cpu().saturating_sub(used));
        #[expect(clippy::cast_precision_loss, reason = "counts are small")]
        let count = count as f64;
        Cost { rate: count / wall.as_secs_f64(), cpu_us: used.as_secs_f64() * 1e6 / count }
    }
}

/// The middle of some numbers.
pub fn median(mut numbers: Vec<f64>) -> f64 {
    numbers.sort_by(f64::total_cmp);
    numbers.get(numbers.len() / 2).copied().unwrap_or(f64::NAN)
}
