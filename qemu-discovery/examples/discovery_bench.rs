//! Measures a probe and the choice of an accelerator; `cargo xtask bench discovery` builds it for release and runs it.
//!
//! Its argument is the QEMU to ask. The last lines are the goals: `goal NAME VALUE LIMIT met|missed`.

use std::error::Error;
use std::io::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use qemu_argv::{AccelChoice, Cpu};
use qemu_discovery::{Places, Probe, accel, probe_in};

/// How often what starts a QEMU is measured, and what does not; the medians count.
const STARTS: usize = 9;
const RECALLS: usize = 201;

fn main() -> Result<(), Box<dyn Error>> {
    let qemu = std::env::args_os().nth(1).ok_or("give the path of a QEMU")?;
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    runtime.block_on(measure(Path::new(&qemu)))
}

async fn measure(qemu: &Path) -> Result<(), Box<dyn Error>> {
    let (mut bare, mut full, mut first) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..STARTS {
        bare.push(start_and_quit(qemu)?);
        let cache = tempfile::tempdir()?;
        let places = with_cache(cache.path());
        let began = Instant::now();
        let probe = probe_in(&places, qemu).await?;
        full.push(began.elapsed());
        let began = Instant::now();
        choose(&places, &probe).await?;
        first.push(began.elapsed());
    }
    let cache = tempfile::tempdir()?;
    let places = with_cache(cache.path());
    let probe = probe_in(&places, qemu).await?;
    let acceleration = choose(&places, &probe).await?;
    let (mut recalled, mut later) = (Vec::new(), Vec::new());
    for _ in 0..RECALLS {
        let began = Instant::now();
        probe_in(&places, qemu).await?;
        recalled.push(began.elapsed());
        let began = Instant::now();
        choose(&places, &probe).await?;
        later.push(began.elapsed());
    }
    let (bare, full) = (median(bare), median(full));
    println!("{} is {}; {}: {}", qemu.display(), probe.version, acceleration.accelerator, acceleration.why);
    // No goal: most of it QEMU spends on loading all of its modules, to tell what is in them.
    println!(
        "a bare start and quit {bare:.1} ms, a full probe {full:.1} ms: {:.1} times as long",
        full / bare
    );
    goal("probe-recalled-ms", median(recalled), 1.0);
    goal("auto-first-ms", median(first), 2000.0);
    goal("auto-later-ms", median(later), 5.0);
    Ok(())
}

/// The floor: a QEMU without a machine that is told to quit as soon as it answers.
fn start_and_quit(qemu: &Path) -> Result<Duration, Box<dyn Error>> {
    let began = Instant::now();
    let mut child = Command::new(qemu)
        .args([
            "-machine",
            "none",
            "-S",
            "-nodefaults",
            "-no-user-config",
            "-display",
            "none",
            "-qmp",
            "stdio",
        ])
        .stdin(Stdio::piped())
        .stdout(Stdio::null())
        .spawn()?;
    let mut stdin = child.stdin.take().ok_or("it has a pipe")?;
    stdin.write_all(b"{\"execute\":\"qmp_capabilities\"}{\"execute\":\"quit\"}")?;
    let status = child.wait()?;
    if status.success() { Ok(began.elapsed()) } else { Err(format!("QEMU: {status}").into()) }
}

fn with_cache(dir: &Path) -> Places {
    let mut places = Places::host();
    places.cache_dir = Some(dir.to_owned());
    places
}

async fn choose(places: &Places, probe: &Probe) -> Result<accel::Acceleration, Box<dyn Error>> {
    let machine = probe.arch.default_machine();
    Ok(accel::choose_in(places, AccelChoice::Auto, probe, machine, &Cpu::default()).await?)
}

/// In milliseconds.
fn median(mut times: Vec<Duration>) -> f64 {
    times.sort();
    times[times.len() / 2].as_secs_f64() * 1e3
}

fn goal(name: &str, value: f64, limit: f64) {
    let word = if value <= limit { "met" } else { "missed" };
    println!("goal {name} {value:.3} {limit} {word}");
}
