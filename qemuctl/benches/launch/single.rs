//! One launch after the other.

use std::ffi::OsString;
use std::path::Path;
use std::time::{Duration, Instant};

use qemuctl::Instance;
use tokio::runtime::Runtime;

use crate::bare::{Bare, arguments};
use crate::goals::{Goals, median_ms};
use crate::{Bench, Failure};

/// How much longer than the floor a launch may take, and a launch from a large process than from a small one.
const LIMIT: f64 = 1.05;
const BALLAST_BYTES: usize = 4 << 30;

/// The ways to a running QEMU.
struct Ways<'a> {
    bench: &'a Bench,
    runtime: &'a Runtime,
    args: Vec<OsString>,
    socket: &'a Path,
}

impl Ways<'_> {
    fn floor(&self) -> Result<Duration, Failure> {
        let began = Instant::now();
        let _bare = Bare::floor(&self.bench.qemu, &self.args)?;
        Ok(began.elapsed())
    }

    fn ours(&self) -> Result<Duration, Failure> {
        let config = self.bench.config("one");
        self.runtime.block_on(async {
            let began = Instant::now();
            let vm = Instance::start(&config).await?;
            let took = began.elapsed();
            vm.kill().await?;
            Ok(took)
        })
    }

    fn by_fork(&self) -> Result<Duration, Failure> {
        let began = Instant::now();
        let _bare = Bare::by_fork(&self.bench.qemu, &self.args)?;
        Ok(began.elapsed())
    }

    fn by_polling(&self) -> Result<Duration, Failure> {
        let began = Instant::now();
        let _bare = Bare::by_polling(&self.bench.qemu, &self.args, self.socket)?;
        Ok(began.elapsed())
    }
}

pub fn run(bench: &Bench, runtime: &Runtime, goals: &mut Goals) -> Result<(), Failure> {
    // The first launch asks QEMU what it can do, and tells the command line.
    let vm = runtime.block_on(Instance::start(&bench.config("one")))?;
    let args = arguments(&*vm.plan().ok_or("a started VM has a plan")?);
    let socket = vm.socket().ok_or("a started VM has a monitor")?.to_owned();
    runtime.block_on(vm.kill())?;
    drop(vm);
    let ways = Ways { bench, runtime, args, socket: &socket };

    let (floor, ours, polling) = rounds(bench, [Ways::floor, Ways::ours, Ways::by_polling], &ways)?;
    println!(
        "launch to ready: floor {floor:.2} ms, qemuctl {ours:.2} ms, polling for a socket {polling:.2} ms"
    );
    goals.at_most("launch-over-floor", ours / floor, LIMIT);

    // Written to, so that the kernel has page tables for all of it.
    let ballast = vec![1_u8; BALLAST_BYTES];
    let (floor_large, ours_large, fork) = rounds(bench, [Ways::floor, Ways::ours, Ways::by_fork], &ways)?;
    drop(std::hint::black_box(ballast));
    println!(
        "from a process of 4 GiB: floor {floor_large:.2} ms, qemuctl {ours_large:.2} ms, by fork {fork:.2} ms"
    );
    // Each beside its own floor: the machine may be slower by now.
    goals.at_most("launch-from-4-GiB", (ours_large / floor_large) / (ours / floor), LIMIT);
    Ok(())
}

type Way<'a> = fn(&Ways<'a>) -> Result<Duration, Failure>;

/// Three ways in turn, so that a slow moment of the machine strikes all of them. Their medians, in milliseconds.
fn rounds<'a>(bench: &Bench, ways: [Way<'a>; 3], on: &Ways<'a>) -> Result<(f64, f64, f64), Failure> {
    let mut times = [const { Vec::new() }; 3];
    for _ in 0..bench.rounds {
        for (way, times) in ways.iter().zip(&mut times) {
            times.push(way(on)?);
        }
    }
    let [one, two, three] = &mut times;
    Ok((median_ms(one), median_ms(two), median_ms(three)))
}
