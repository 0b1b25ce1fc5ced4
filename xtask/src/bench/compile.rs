//! `cargo xtask bench compile`: what qmp-proto costs those who build it, beside crate `qapi-qmp`.
//!
//! Every candidate is built cold, with its dependencies, in the dev profile, by a process of its own,
//! so that the peak memory is that build's. Rounds are interleaved and the best of each counts: other
//! work on the machine only ever adds time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

use crate::run::{self, workspace};

/// Cold build time, rlib size and peak memory of qmp-proto beside crate qapi-qmp
#[derive(clap::Args)]
pub struct Args {
    /// How often each is built
    #[arg(long, default_value_t = 2)]
    rounds: u32,
    /// Build the project in this directory and print what it cost: how the benchmark calls itself
    #[arg(long, hide = true)]
    one: Option<PathBuf>,
}

struct Candidate {
    name: &'static str,
    /// The library file's stem.
    library: &'static str,
    dependency: String,
}

/// What one build cost.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Cost {
    seconds: f64,
    cpu_seconds: f64,
    peak_mib: f64,
}

/// How much of `qapi-qmp`'s cost is allowed.
const TIME_LIMIT: f64 = 0.6;
const SIZE_LIMIT: f64 = 0.5;

pub fn run(args: &Args) -> Result<()> {
    if let Some(project) = &args.one {
        println!("{}", serde_json::to_string(&build(project)?)?);
        return Ok(());
    }
    let path = workspace().join("qmp-proto");
    let own = |features: &str| format!("qmp-proto = {{ path = {:?}{features} }}", path.display().to_string());
    let candidates = [
        Candidate {
            name: "qapi-qmp",
            library: "libqapi_qmp",
            dependency: "qapi-qmp = \"=0.15.0\"".to_owned(),
        },
        Candidate { name: "qmp-proto", library: "libqmp_proto", dependency: own("") },
        Candidate {
            name: "qmp-proto-full",
            library: "libqmp_proto",
            dependency: own(", features = [\"full\"]"),
        },
    ];
    let mut results = Vec::new();
    for round in 0..args.rounds.max(1) {
        for (index, candidate) in candidates.iter().enumerate() {
            let (cost, rlib) = measure(candidate)?;
            println!(
                "round {round}: {:<15} {:6.1} s ({:.1} s CPU), rlib {:.1} MB, peak {:.0} MiB",
                candidate.name, cost.seconds, cost.cpu_seconds, rlib, cost.peak_mib
            );
            results.push((index, cost, rlib));
        }
    }
    let best = |index: usize, what: fn(&Cost) -> f64| {
        let of = results.iter().filter(|(i, _, _)| *i == index);
        of.map(|(_, cost, _)| what(cost)).fold(f64::INFINITY, f64::min)
    };
    let rlib = |index: usize| results.iter().find(|(i, _, _)| *i == index).map_or(0.0, |(_, _, rlib)| *rlib);
    let mut is_met = true;
    let mut goal = |name: String, value: f64, limit: f64| {
        let met = value <= limit;
        is_met &= met;
        println!("goal {name} {value:.2} {limit} {}", if met { "met" } else { "missed" });
    };
    for (index, candidate) in candidates.iter().enumerate().skip(1) {
        let name = candidate.name;
        goal(
            format!("{name}-time"),
            best(index, |cost| cost.seconds) / best(0, |cost| cost.seconds),
            TIME_LIMIT,
        );
        goal(
            format!("{name}-cpu-time"),
            best(index, |cost| cost.cpu_seconds) / best(0, |cost| cost.cpu_seconds),
            TIME_LIMIT,
        );
        goal(format!("{name}-rlib"), rlib(index) / rlib(0), SIZE_LIMIT);
        let peak = best(index, |cost| cost.peak_mib) / best(0, |cost| cost.peak_mib);
        println!("{name}: peak memory {peak:.2} of that of qapi-qmp");
    }
    if !is_met {
        bail!("a goal is missed");
    }
    Ok(())
}

/// Builds `candidate` in a fresh project; also tells its library's size in MB.
fn measure(candidate: &Candidate) -> Result<(Cost, f64)> {
    let project = workspace().join("target/bench-compile").join(candidate.name);
    match fs::remove_dir_all(&project) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            return Err(error).with_context(|| format!("cannot remove {}", project.display()));
        }
        _ => {}
    }
    fs::create_dir_all(project.join("src"))
        .with_context(|| format!("cannot create {}", project.display()))?;
    let manifest = format!(
        "[package]\nname = \"user\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{}\n\n[workspace]\n",
        candidate.dependency
    );
    fs::write(project.join("Cargo.toml"), manifest).context("cannot write the project's manifest")?;
    fs::write(project.join("src/lib.rs"), "").context("cannot write the project's source")?;
    // Downloads are not what is measured.
    run::output(run::cargo(["fetch", "--quiet"]).current_dir(&project))?;
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut child = std::process::Command::new(program);
    let text = run::output(child.args(["bench", "compile", "--one"]).arg(&project))?;
    let cost: Cost = serde_json::from_str(text.trim()).context("cannot understand the build's cost")?;
    let deps = project.join("target/debug/deps");
    for entry in fs::read_dir(&deps).with_context(|| format!("cannot read {}", deps.display()))? {
        let entry = entry.with_context(|| format!("cannot read {}", deps.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_rlib = Path::new(&name).extension().is_some_and(|extension| extension == "rlib");
        if name.starts_with(candidate.library) && is_rlib {
            let bytes = entry.metadata().context("cannot see the library")?.len();
            #[expect(clippy::cast_precision_loss, reason = "a library has far fewer than 2^52 bytes")]
            return Ok((cost, bytes as f64 / 1e6));
        }
    }
    bail!("no library {} in {}", candidate.library, deps.display())
}

/// Builds `project`; the process must have had no other children.
fn build(project: &Path) -> Result<Cost> {
    let began = Instant::now();
    run::output(
        run::cargo(["build", "--quiet", "--offline"])
            .current_dir(project)
            .env("CARGO_TARGET_DIR", project.join("target"))
            // Only a path dependency would be built incrementally.
            .env("CARGO_INCREMENTAL", "0"),
    )?;
    let usage = getrusage(UsageWho::RUSAGE_CHILDREN).context("cannot tell what the build used")?;
    #[expect(clippy::cast_precision_loss, reason = "seconds and KiB of one build")]
    Ok(Cost {
        seconds: began.elapsed().as_secs_f64(),
        cpu_seconds: (usage.user_time().tv_sec() + usage.system_time().tv_sec()) as f64
            + (usage.user_time().tv_usec() + usage.system_time().tv_usec()) as f64 / 1e6,
        peak_mib: usage.max_rss() as f64 / 1024.0,
    })
}
