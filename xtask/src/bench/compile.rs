//! `cargo xtask bench compile`: what the project costs those who build it, beside crate `qapi-qmp`: the types alone, the
//! library in both profiles, and the program. With `--before COMMIT`, also beside the project as it was then.
//!
//! Every candidate is built cold, with its dependencies, by a process of its own, so that the peak memory is that
//! build's. Rounds are interleaved and the best of each counts: other work on the machine only ever adds time.

use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail};
use nix::sys::resource::{UsageWho, getrusage};
use serde::{Deserialize, Serialize};

use crate::run::{self, workspace};

/// Cost of building the types, the library and the program, beside crate qapi-qmp
#[derive(clap::Args)]
pub struct Args {
    /// How often each is built
    #[arg(long, default_value_t = 2)]
    rounds: u32,
    /// Only the candidates whose name begins like this, beside qapi-qmp
    #[arg(long, default_value = "")]
    only: String,
    /// Build the library and the program of this commit, too, and compare
    #[arg(long, value_name = "COMMIT")]
    before: Option<String>,
    /// Build the project in this directory and print what it cost: how the benchmark calls itself
    #[arg(long, hide = true)]
    one: Option<PathBuf>,
    /// With --one: build it like this
    #[arg(long, hide = true, value_enum, default_value = "dev")]
    how: How,
}

#[derive(Clone, Copy, PartialEq, Eq, clap::ValueEnum)]
enum How {
    /// A project that depends on it, in the dev profile.
    Dev,
    /// The same, in the release profile.
    Release,
    /// The program in this project itself, with the release profile of its workspace.
    Program,
}

impl How {
    fn name(self) -> &'static str {
        match self {
            Self::Dev => "dev",
            Self::Release => "release",
            Self::Program => "program",
        }
    }
}

struct Candidate {
    name: String,
    /// What is weighed: the stem of a library file, or the program.
    artefact: &'static str,
    /// A line of `[dependencies]`, or the directory of a whole project.
    source: String,
    how: How,
}

/// What one build cost.
#[derive(Clone, Copy, Serialize, Deserialize)]
struct Cost {
    seconds: f64,
    cpu_seconds: f64,
    peak_mib: f64,
}

/// A build, and the size in MB of what it made.
type Built = (usize, Cost, f64);

/// How much of `qapi-qmp`'s cost the types may have.
const TIME_LIMIT: f64 = 0.6;
const SIZE_LIMIT: f64 = 0.5;
/// How much of its former cost the library may have, and the program.
const LIBRARY_LIMIT: f64 = 0.6;
const PROGRAM_LIMIT: f64 = 0.4;
/// The size of the program, in MB.
const PROGRAM_SIZE: f64 = 9.0;
/// How many crates are built for a user of the library.
const CRATES: f64 = 50.0;

pub fn run(args: &Args) -> Result<()> {
    if let Some(project) = &args.one {
        println!("{}", serde_json::to_string(&build(project, args.how)?)?);
        return Ok(());
    }
    let before = args.before.as_deref().map(checkout).transpose()?;
    let mut candidates = vec![Candidate {
        name: "qapi-qmp".to_owned(),
        artefact: "libqapi_qmp",
        source: "qapi-qmp = \"=0.15.0\"".to_owned(),
        how: How::Dev,
    }];
    candidates.extend(types());
    candidates.extend(products("", workspace()));
    if let Some(before) = &before {
        candidates.extend(products("-before", before));
    }
    candidates.retain(|candidate| candidate.name == "qapi-qmp" || candidate.name.starts_with(&args.only));
    let mut results: Vec<Built> = Vec::new();
    for round in 0..args.rounds.max(1) {
        for (index, candidate) in candidates.iter().enumerate() {
            let (cost, size) = measure(candidate)?;
            println!(
                "round {round}: {:<23} {:6.1} s ({:.1} s CPU), {size:.1} MB, peak {:.0} MiB",
                candidate.name, cost.seconds, cost.cpu_seconds, cost.peak_mib
            );
            results.push((index, cost, size));
        }
    }
    let mut is_met = true;
    let mut goal = |name: &str, value: f64, limit: f64| {
        let met = value <= limit;
        is_met &= met;
        println!("goal {name} {value:.2} {limit} {}", if met { "met" } else { "missed" });
    };
    for candidate in candidates.iter().skip(1).filter(|candidate| !candidate.name.ends_with("-before")) {
        let name = &candidate.name;
        let best = |name: &str, what: fn(&Built) -> f64| {
            let of = results.iter().filter(|(index, ..)| candidates[*index].name == name);
            of.map(what).fold(f64::INFINITY, f64::min)
        };
        let ratio = |other: &str, what: fn(&Built) -> f64| best(name, what) / best(other, what);
        let cpu: fn(&Built) -> f64 = |(_, cost, _)| cost.cpu_seconds;
        let size: fn(&Built) -> f64 = |(.., size)| *size;
        if name.starts_with("qmp-proto") {
            goal(&format!("{name}-time"), ratio("qapi-qmp", |(_, cost, _)| cost.seconds), TIME_LIMIT);
            goal(&format!("{name}-cpu-time"), ratio("qapi-qmp", cpu), TIME_LIMIT);
            goal(&format!("{name}-rlib"), ratio("qapi-qmp", size), SIZE_LIMIT);
        } else {
            println!("{name}: {:.2} of the CPU time of qapi-qmp", ratio("qapi-qmp", cpu));
            let limit = if candidate.how == How::Program { PROGRAM_LIMIT } else { LIBRARY_LIMIT };
            if before.is_some() {
                goal(&format!("{name}-cpu-time-of-before"), ratio(&format!("{name}-before"), cpu), limit);
            }
            if candidate.how == How::Program {
                goal(&format!("{name}-size"), best(name, size), PROGRAM_SIZE);
            }
        }
        let peak = ratio("qapi-qmp", |(_, cost, _)| cost.peak_mib);
        println!("{name}: peak memory {peak:.2} of that of qapi-qmp");
    }
    goal("library-crates", crates()?, CRATES);
    if !is_met {
        bail!("a goal is missed");
    }
    Ok(())
}

/// `qmp-proto`, as it is and with every module.
fn types() -> [Candidate; 2] {
    let path = workspace().join("qmp-proto").display().to_string();
    [("qmp-proto", ""), ("qmp-proto-full", ", features = [\"full\"]")].map(|(name, features)| Candidate {
        name: name.to_owned(),
        artefact: "libqmp_proto",
        source: format!("qmp-proto = {{ path = {path:?}{features} }}"),
        how: How::Dev,
    })
}

/// The library and the program of the project in `root`.
fn products(suffix: &str, root: &Path) -> [Candidate; 3] {
    let library = format!(
        "qemuctl = {{ path = {:?}, default-features = false }}",
        root.join("qemuctl").display().to_string()
    );
    let candidate = |name: &str, artefact, source: &str, how| Candidate {
        name: format!("{name}{suffix}"),
        artefact,
        source: source.to_owned(),
        how,
    };
    [
        candidate("library", "libqemuctl", &library, How::Dev),
        candidate("library-release", "libqemuctl", &library, How::Release),
        candidate("program", "qemuctl", &root.display().to_string(), How::Program),
    ]
}

/// The project as it was, in a directory of its own.
fn checkout(commit: &str) -> Result<PathBuf> {
    let dir = workspace().join("target/bench-compile/before");
    remove(&dir)?;
    fs::create_dir_all(&dir).with_context(|| format!("cannot create {}", dir.display()))?;
    let archive = dir.with_extension("tar");
    let mut git = std::process::Command::new("git");
    git.args(["archive", "--output"]).arg(&archive).arg(commit).current_dir(workspace());
    run::output(&mut git)?;
    let mut tar = std::process::Command::new("tar");
    run::output(tar.arg("-xf").arg(&archive).arg("-C").arg(&dir))?;
    Ok(dir)
}

/// How many crates a user of the library builds, itself included.
fn crates() -> Result<f64> {
    let arguments = [
        "tree",
        "--package",
        "qemuctl",
        "--no-default-features",
        "--edges",
        "normal,build",
        "--prefix",
        "none",
    ];
    let tree = run::output(run::cargo(arguments).args(["--format", "{p}"]).current_dir(workspace()))?;
    let names: std::collections::BTreeSet<_> =
        tree.lines().filter_map(|line| line.split_whitespace().next()).collect();
    #[expect(clippy::cast_precision_loss, reason = "fewer than 2^52 crates")]
    Ok(names.len() as f64)
}

fn remove(dir: &Path) -> Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != std::io::ErrorKind::NotFound => {
            Err(error).with_context(|| format!("cannot remove {}", dir.display()))
        }
        _ => Ok(()),
    }
}

/// Builds `candidate` from nothing; also returns the size in MB of what was made.
fn measure(candidate: &Candidate) -> Result<(Cost, f64)> {
    let project = workspace().join("target/bench-compile").join(&candidate.name);
    remove(&project)?;
    fs::create_dir_all(project.join("src"))
        .with_context(|| format!("cannot create {}", project.display()))?;
    let built = if candidate.how == How::Program {
        PathBuf::from(&candidate.source)
    } else {
        let manifest = format!(
            "[package]\nname = \"user\"\nversion = \"0.0.0\"\nedition = \"2024\"\n\n[dependencies]\n{}\n\n[workspace]\n",
            candidate.source
        );
        fs::write(project.join("Cargo.toml"), manifest).context("cannot write the project's manifest")?;
        fs::write(project.join("src/lib.rs"), "").context("cannot write the project's source")?;
        project.clone()
    };
    // Downloads are not what is measured.
    run::output(run::cargo(["fetch", "--quiet"]).current_dir(&built))?;
    let program = std::env::current_exe().context("cannot find this program")?;
    let mut child = std::process::Command::new(program);
    child.args(["bench", "compile", "--how", candidate.how.name(), "--one"]).arg(&built);
    let text = run::output(child.env("CARGO_TARGET_DIR", project.join("target")))?;
    let cost: Cost = serde_json::from_str(text.trim()).context("cannot understand the build's cost")?;
    let target = project.join("target");
    let dir = match candidate.how {
        How::Dev => target.join("debug/deps"),
        How::Release => target.join("release/deps"),
        How::Program => target.join("release"),
    };
    let size = weigh(&dir, candidate.artefact, candidate.how == How::Program)?;
    remove(&target)?;
    Ok((cost, size))
}

/// The size in MB of the library whose file name begins with `stem`, or of the program with that name.
fn weigh(dir: &Path, stem: &str, is_program: bool) -> Result<f64> {
    for entry in fs::read_dir(dir).with_context(|| format!("cannot read {}", dir.display()))? {
        let entry = entry.with_context(|| format!("cannot read {}", dir.display()))?;
        let name = entry.file_name().to_string_lossy().into_owned();
        let is_rlib = Path::new(&name).extension().is_some_and(|extension| extension == "rlib");
        if if is_program { name == stem } else { name.starts_with(stem) && is_rlib } {
            let bytes = entry.metadata().context("cannot see the library")?.len();
            #[expect(clippy::cast_precision_loss, reason = "a library has far fewer than 2^52 bytes")]
            return Ok(bytes as f64 / 1e6);
        }
    }
    bail!("no {stem} in {}", dir.display())
}

/// Builds `project`; the process must have had no other children.
fn build(project: &Path, how: How) -> Result<Cost> {
    let began = Instant::now();
    let arguments: &[&str] = match how {
        How::Dev => &[],
        How::Release => &["--release"],
        How::Program => &["--release", "--package", "qemuctl", "--bin", "qemuctl"],
    };
    run::output(
        run::cargo(["build", "--quiet", "--offline"])
            .args(arguments)
            .current_dir(project)
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
