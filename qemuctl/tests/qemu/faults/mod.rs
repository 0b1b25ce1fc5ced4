//! The fault matrix: whatever goes wrong, the error or the exit reason tells it, and nothing is left over: no process, no
//! zombie, no descriptor, no file.
//!
//! Each table says how many faults it has seen, past the capture of the test's output.

mod fake;
mod guests;
mod impostors;
mod leftovers;
mod namespace;
mod phases;
mod places;
mod refusals;

use std::fmt::Debug;
use std::io::Write;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use qemuctl::{Error, Instance, LaunchOptions, ProcessExit, VmConfig, error::LaunchFailure};

use crate::boot_sector::{Guest, leftovers};

/// Longer than anything takes on a loaded machine.
const GENEROUS: Duration = Duration::from_secs(120);

/// Tells how many faults a table has, and how many were seen so far.
fn seen(table: &str, faults: usize) {
    static SO_FAR: AtomicUsize = AtomicUsize::new(0);
    let so_far = SO_FAR.fetch_add(faults, Ordering::Relaxed) + faults;
    // `println!` would be captured.
    writeln!(std::io::stdout(), "fault matrix: {faults} {table}, {so_far} so far").expect("printed");
}

/// The failure of a launch that must not succeed.
fn failure(result: Result<Instance, Error>) -> LaunchFailure {
    match result.expect_err("it cannot start") {
        Error::Launch(failure) => *failure,
        other => panic!("not a failed launch: {other}"),
    }
}

/// Launches a VM that must not start, and looks that nothing of it is left.
async fn refused(dir: &Path, program: &Path, extra: &[&str], within: Duration) -> LaunchFailure {
    let config = with(Guest::Deaf.config(program, dir, "vm"), extra);
    let options = LaunchOptions { ready_timeout: within, ..LaunchOptions::default() };
    let failure = failure(Instance::start_with(&config, &options).await);
    assert_eq!(leftovers(dir), [""; 0], "after {failure}");
    failure
}

fn with(config: VmConfig, extra: &[&str]) -> VmConfig {
    VmConfig { extra_args: extra.iter().map(|&word| word.into()).collect(), ..config }
}

/// What the exit was, without what depends on the host's limits.
fn without_core(exit: Option<ProcessExit>) -> Option<ProcessExit> {
    match exit {
        Some(ProcessExit::Signal { number, .. }) => Some(ProcessExit::Signal { number, core_dumped: false }),
        other => other,
    }
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Waits for something that comes soon.
async fn soon<T>(what: impl Future<Output = T> + Send) -> T
where
    T: Debug,
{
    tokio::time::timeout(GENEROUS, what).await.expect("it comes")
}
