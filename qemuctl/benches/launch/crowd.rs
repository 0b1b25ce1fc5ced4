//! Many launches at once.

use std::ffi::OsString;
use std::time::{Duration, Instant};

use qemuctl::Instance;
use tokio::runtime::Runtime;
use tokio::task::JoinSet;

use crate::bare::{Bare, arguments};
use crate::goals::{Goals, median_ms};
use crate::{Bench, Failure};

/// How many VMs are launched at once.
const VMS: usize = 50;
/// How much longer than that many bare QEMUs they may take.
const LIMIT: f64 = 1.1;
/// A round takes seconds.
const ROUNDS: usize = 5;

pub fn run(bench: &Bench, runtime: &Runtime, goals: &mut Goals) -> Result<(), Failure> {
    let (mut lines, mut ours, mut bare) = (Vec::new(), Vec::new(), Vec::new());
    // The first round tells the command lines.
    for round in 0..=ROUNDS {
        let (took, vms) = runtime.block_on(launch(bench))?;
        if round == 0 {
            lines = vms.iter().filter_map(Instance::plan).map(|plan| arguments(&plan)).collect();
        } else {
            ours.push(took);
        }
        drop(vms);
        let took = bare_launch(bench, &lines)?;
        if round > 0 {
            bare.push(took);
        }
    }
    let (ours, bare) = (median_ms(&mut ours), median_ms(&mut bare));
    println!("{VMS} at once: bare {bare:.0} ms, qemuctl {ours:.0} ms");
    goals.at_most("50-launches-over-bare", ours / bare, LIMIT);
    Ok(())
}

async fn launch(bench: &Bench) -> Result<(Duration, Vec<Instance>), Failure> {
    let configs: Vec<_> = (0..VMS).map(|number| bench.config(&format!("vm{number}"))).collect();
    let began = Instant::now();
    let mut launches = JoinSet::new();
    for config in configs {
        launches.spawn(async move { Instance::start(&config).await });
    }
    let mut vms = Vec::new();
    while let Some(launched) = launches.join_next().await {
        vms.push(launched??);
    }
    Ok((began.elapsed(), vms))
}

fn bare_launch(bench: &Bench, lines: &[Vec<OsString>]) -> Result<Duration, Failure> {
    let began = Instant::now();
    let _bare = Bare::many(&bench.qemu, lines)?;
    Ok(began.elapsed())
}
