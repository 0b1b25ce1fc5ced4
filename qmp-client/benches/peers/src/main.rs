//! Measures `qmp-client` beside a blocking floor and its peer, on a real QEMU and on a scripted peer.
//!
//! All clients take turns within each round, and ratios are taken within a round, so that a busy machine
//! troubles all of them alike. Ratios within 10 % mean little.

mod crowds;
mod floor;
mod measure;
mod ours;
mod peer;
mod qemu;
mod rounds;
mod scripted;
mod table;

use std::path::{Path, PathBuf};
use std::process::ExitCode;

use anyhow::{Context, Result};

use measure::{Cost, median};
use qemu::Qemu;
use rounds::{FAST, FLOOR, OURS, OURS_THREADS, QAPI, SCHEMA, SEQUENTIAL, SIXTY_FOUR, THIRTY_TWO};
use scripted::Scripted;
use table::{Limit, Table};

fn main() -> Result<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let (mut rounds, mut qemu) = (21, PathBuf::from("qemu-system-x86_64"));
    while let Some(arg) = args.next() {
        let value = args.next().with_context(|| format!("{} needs a value", arg.display()))?;
        match arg.to_str() {
            Some("--scripted") => return scripted::serve(Path::new(&value)).map(|()| ExitCode::SUCCESS),
            Some("--rounds") => rounds = value.to_str().context("a number")?.parse()?,
            Some("--qemu") => qemu = value.into(),
            _ => anyhow::bail!("unknown option {}", arg.display()),
        }
    }
    let directory = tempfile::tempdir()?;
    let mut table = Table::default();
    let mut slowest = Vec::new();
    {
        let qemu = Qemu::start(&qemu, directory.path())?;
        for round in 0..rounds {
            eprintln!("round {} of {rounds} on {}", round + 1, qemu.program.display());
            rounds::on_qemu(&qemu.path, &mut table, &mut slowest)?;
        }
    }
    let scripted = Scripted::start(directory.path())?;
    for round in 0..rounds {
        eprintln!("round {} of {rounds} on the scripted peer", round + 1);
        rounds::on_scripted(&scripted.path, &mut table)?;
    }
    let events = (0..3).map(|_| crowds::events(&scripted.path)).collect::<Result<Vec<_>>>()?;
    let (events, missed): (Vec<_>, Vec<_>) = events.into_iter().unzip();
    let (idle_kib, idle_ms) = crowds::idle_sessions(&scripted.path)?;

    let rate = |cost: &Cost| cost.rate;
    let used = |cost: &Cost| cost.cpu_us;
    let mut ratio = |name, job: rounds::Job, (who, base), what: fn(&Cost) -> f64, limit| {
        let value = table.ratio((job.name, who), (job.name, base), what);
        table.goal(name, value, limit);
    };
    let floor = (OURS, FLOOR);
    ratio("sequential-rate", SEQUENTIAL, floor, rate, Limit::AtLeast(1.05));
    ratio("sequential-cpu", SEQUENTIAL, floor, used, Limit::AtMost(1.15));
    ratio("sequential-cpu-threads", SEQUENTIAL, (OURS_THREADS, FLOOR), used, Limit::AtMost(2.0));
    ratio("in-flight-32-rate", THIRTY_TWO, floor, rate, Limit::AtLeast(1.6));
    ratio("in-flight-64-rate", SIXTY_FOUR, floor, rate, Limit::AtLeast(1.6));
    ratio("schema-cpu", SCHEMA, floor, used, Limit::AtMost(0.55));
    ratio("schema-cpu-to-qapi", SCHEMA, (OURS, QAPI), used, Limit::AtMost(0.2));
    ratio("fast-peer-rate", FAST, floor, rate, Limit::AtLeast(0.7));
    table.goal("slowest-to-median-call", median(slowest), Limit::AtMost(3.0));
    table.goal("events-per-second", median(events), Limit::AtLeast(100_000.0));
    table.goal("events-missed", missed.into_iter().sum(), Limit::AtMost(0.0));
    table.goal("idle-session-kib", idle_kib, Limit::AtMost(24.0));
    table.goal("idle-1000-sessions-cpu-ms", idle_ms, Limit::AtMost(0.0));
    Ok(if table.print() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}
