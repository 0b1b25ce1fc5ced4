//! `cargo xtask test`: sets everything up, then runs every check and every test.
//!
//! Goes on after a failure, so that one run tells everything. The last line is the sum over all
//! checks and tests; the exit code is 0 only if tests ran and nothing failed.

mod counts;
mod stream;

use std::ffi::OsString;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::check::{self, Step};
use crate::run::{self, cargo};
use crate::{guest, package, places, qemus, servers, system};
use counts::Counts;

/// Set everything up, then run every check and every test
#[derive(clap::Args)]
pub struct Args {
    /// Run only the tests whose name has this in it, and no other checks
    filter: Option<String>,
}

/// When no test has ended for this long, they are all ended: a test that hangs must not hang its caller.
///
/// A limit for the whole run would depend on how busy the machine is, and on how much there was to compile.
const SILENCE_AT_MOST: Duration = Duration::from_secs(10 * 60);

pub fn run(args: &Args) -> Result<()> {
    set_up()?;
    let mut report = Vec::new();
    let mut total = Counts::default();
    if args.filter.is_none() {
        let package = Step { name: "package", run: || package::run(&package::Args::default()) };
        for step in check::STEPS.into_iter().chain([package]) {
            let began = Instant::now();
            eprintln!("\n== {}", step.name);
            let result = (step.run)();
            if let Err(error) = &result {
                eprintln!("{error:#}");
            }
            total += Counts::of_one(result.is_ok());
            let word = if result.is_ok() { "passed" } else { "FAILED" };
            report.push(format!("{:<10} {word} in {:.0?}", step.name, began.elapsed()));
        }
    }
    eprintln!("\n== tests");
    let began = Instant::now();
    if let Err(error) = build() {
        // The tests that can be built are run all the same.
        eprintln!("{error:#}");
    }
    report.push(format!("{:<10} in {:.0?}", "build", began.elapsed()));
    let began = Instant::now();
    let filter = args.filter.iter().flat_map(|filter| ["--", filter]);
    let tests = tests(filter)?;
    total += tests.counts;
    if let Some(problem) = &tests.problem {
        // Beside the failed tests, so that no sum looks better than the run was.
        total += Counts::of_one(false);
        report.push(problem.clone());
    }
    report.push(format!(
        "{:<10} {} passed, {} failed, {} ignored in {} binaries in {:.0?}",
        "tests",
        tests.counts.passed,
        tests.counts.failed,
        tests.counts.ignored,
        tests.binaries,
        began.elapsed()
    ));
    println!("\n{}", report.join("\n"));
    println!("{} passed, {} failed", total.passed, total.failed);
    verdict(&tests, total)
}

/// Runs the tests of one target, which `cargo xtask test` leaves out: all, or those with `filter` in their name.
pub fn run_target(name: &str, filter: Option<&str>) -> Result<()> {
    let filter = filter.iter().flat_map(|filter| ["--", *filter]);
    let tests = tests(["--test", name].into_iter().chain(filter))?;
    if let Some(problem) = &tests.problem {
        bail!("{problem}");
    }
    verdict(&tests, tests.counts)
}

/// Whether this was a run to be glad about.
fn verdict(tests: &Tests, total: Counts) -> Result<()> {
    if total.failed > 0 {
        bail!("{} failed", total.failed);
    }
    if tests.counts.passed == 0 {
        bail!("no test ran");
    }
    if tests.counts.ignored > 0 {
        bail!("{} tests were ignored: a test runs or it is deleted", tests.counts.ignored);
    }
    Ok(())
}

/// Makes everything the tests use: programs, QEMUs, guests.
fn set_up() -> Result<()> {
    system::ensure()?;
    qemus::ensure(&[]).context("cannot set up the QEMU versions")?;
    servers::ensure().context("cannot set up the servers")?;
    guest::GUESTS.iter().try_for_each(guest::ensure)
}

/// What became of all test binaries together.
struct Tests {
    counts: Counts,
    binaries: usize,
    /// Something beyond a failed test: a build that failed, a binary that crashed or hung.
    problem: Option<String>,
}

/// What cargo is told of all tests.
const TEST: [&str; 4] = ["test", "--workspace", "--all-features", "--no-fail-fast"];

/// Compiles the tests, which may take as long as it takes.
fn build() -> Result<()> {
    run::run(cargo(TEST).arg("--no-run"))
}

/// Runs tests: all, or those that `which` picks in cargo's words.
fn tests<'a>(which: impl IntoIterator<Item = &'a str>) -> Result<Tests> {
    let mut command = cargo(TEST);
    command
        .args(which)
        // A snapshot that differs is a failure, never a new file.
        .env("INSTA_UPDATE", "no")
        .env("QEMUCTL_QEMUS_DIR", places::qemus()?)
        .env("QEMUCTL_GUEST_DIR", places::guests()?)
        .env("QEMUCTL_SERVERS_DIR", places::servers()?)
        .env("QEMUCTL_CEPH_DIR", places::ceph()?)
        .env("PATH", path_with_qemu()?);
    let mut parser = counts::Parser::default();
    let end = stream::lines(&mut command, SILENCE_AT_MOST, |line| parser.line(line))?;
    let counts = parser.counts;
    let problem = match end {
        stream::End::Silent => {
            let slow = Vec::from_iter(parser.slow).join(", ");
            Some(format!(
                "no test ended for {} minutes; still running: {slow}",
                SILENCE_AT_MOST.as_secs() / 60
            ))
        }
        stream::End::Exited(status) if !status.success() && counts.failed == 0 => {
            Some(format!("cargo test: {status}, without a test that failed: see above"))
        }
        stream::End::Exited(_) => parser.unfinished.map(|name| format!("{name} ended without a result")),
    };
    Ok(Tests { counts, binaries: parser.binaries, problem })
}

/// `PATH` with a QEMU at its end, for tests that take the one a user would get.
fn path_with_qemu() -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let qemu = places::qemus()?.join("10.0/bin");
    std::env::join_paths(std::env::split_paths(&path).chain([qemu])).context("cannot extend PATH")
}
