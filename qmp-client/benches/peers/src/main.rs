//! Measures `qmp-client` beside a blocking floor and its peer, on a real QEMU and on a scripted peer.
//!
//! All clients take turns within each round, and ratios are taken within a round, so that a busy machine
//! troubles all of them alike. Ratios within 10 % mean little.

mod floor;
mod measure;
mod ours;
mod peer;
mod scripted;
mod table;

use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitCode, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use qmp_client::{EventsError, OutOfBand, Session};
use tokio::runtime::{Builder, Runtime};

use floor::Floor;
use measure::{cpu, median, resident_kib, start};
use scripted::Scripted;
use table::{Limit, Table};

const SEQUENTIAL: &str = "sequential";
const THIRTY_TWO: &str = "32 in flight";
const SIXTY_FOUR: &str = "64 in flight";
const SCHEMA: &str = "query-qmp-schema";
const FAST: &str = "fast peer, 32";

const FLOOR: &str = "floor";
const OURS: &str = "qmp-client";
const OURS_THREADS: &str = "qmp-client, threads";
const QAPI: &str = "qapi";
const QAPI_THREADS: &str = "qapi, threads";

fn main() -> Result<ExitCode> {
    let mut args = std::env::args_os().skip(1);
    let (mut rounds, mut qemu) = (7, PathBuf::from("qemu-system-x86_64"));
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
            on_qemu(&qemu.path, &mut table, &mut slowest)?;
        }
    }
    let scripted = Scripted::start(directory.path())?;
    for round in 0..rounds {
        eprintln!("round {} of {rounds} on the scripted peer", round + 1);
        on_scripted(&scripted.path, &mut table)?;
    }
    let events: Vec<_> = (0..rounds).map(|_| events(&scripted.path)).collect::<Result<_>>()?;
    let (idle_kib, idle_ms) = idle_sessions(&scripted.path)?;

    let rate = |cost: &measure::Cost| cost.rate;
    let used = |cost: &measure::Cost| cost.cpu_us;
    let sequential = (SEQUENTIAL, FLOOR);
    let value = table.ratio((SEQUENTIAL, OURS), sequential, rate);
    table.goal("sequential-rate", value, Limit::AtLeast(1.05));
    let value = table.ratio((SEQUENTIAL, OURS), sequential, used);
    table.goal("sequential-cpu", value, Limit::AtMost(1.15));
    let value = table.ratio((SEQUENTIAL, OURS_THREADS), sequential, used);
    table.goal("sequential-cpu-threads", value, Limit::AtMost(2.0));
    let value = table.ratio((THIRTY_TWO, OURS), (THIRTY_TWO, FLOOR), rate);
    table.goal("in-flight-32-rate", value, Limit::AtLeast(1.6));
    let value = table.ratio((SIXTY_FOUR, OURS), (SIXTY_FOUR, FLOOR), rate);
    table.goal("in-flight-64-rate", value, Limit::AtLeast(1.6));
    let value = table.ratio((SCHEMA, OURS), (SCHEMA, FLOOR), used);
    table.goal("schema-cpu", value, Limit::AtMost(0.55));
    let value = table.ratio((SCHEMA, OURS), (SCHEMA, QAPI), used);
    table.goal("schema-cpu-to-qapi", value, Limit::AtMost(0.2));
    let value = table.ratio((FAST, OURS), (FAST, FLOOR), rate);
    table.goal("fast-peer-rate", value, Limit::AtLeast(0.7));
    table.goal("slowest-to-median-call", median(slowest), Limit::AtMost(3.0));
    table.goal("events-per-second", median(events), Limit::AtLeast(100_000.0));
    table.goal("idle-session-kib", idle_kib, Limit::AtMost(24.0));
    table.goal("idle-1000-sessions-cpu-ms", idle_ms, Limit::AtMost(0.0));
    Ok(if table.print() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

fn one_thread() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn threads() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

/// One round of everything that needs a real QEMU.
fn on_qemu(path: &Path, table: &mut Table, slowest: &mut Vec<f64>) -> Result<()> {
    const COUNT: usize = 2000;
    const SCHEMAS: usize = 20;
    {
        let mut floor = Floor::connect(path)?;
        table.add(SEQUENTIAL, FLOOR, floor.run("query-status", COUNT, 1)?);
        table.add(THIRTY_TWO, FLOOR, floor.run("query-status", COUNT, 32)?);
        table.add(SIXTY_FOUR, FLOOR, floor.run("query-status", COUNT, 64)?);
        table.add(SCHEMA, FLOOR, floor.run("query-qmp-schema", SCHEMAS, 1)?);
    }
    one_thread()?.block_on(async {
        let session = ours::connect(path, OutOfBand::Auto).await?;
        table.add(SEQUENTIAL, OURS, ours::sequential(session.clone(), COUNT).await?);
        let (cost, ratio) = ours::in_flight(&session, COUNT, 32).await?;
        table.add(THIRTY_TWO, OURS, cost);
        slowest.push(ratio);
        table.add(SIXTY_FOUR, OURS, ours::in_flight(&session, COUNT, 64).await?.0);
        table.add(SCHEMA, OURS, ours::schema(&session, SCHEMAS).await?);
        end(session).await
    })?;
    threads()?.block_on(async {
        let session = ours::connect(path, OutOfBand::Auto).await?;
        table.add(SEQUENTIAL, OURS_THREADS, ours::sequential(session.clone(), COUNT).await?);
        table.add(THIRTY_TWO, OURS_THREADS, ours::in_flight(&session, COUNT, 32).await?.0);
        end(session).await
    })?;
    one_thread()?.block_on(async {
        let (service, _task) = peer::connect(path).await?;
        table.add(SEQUENTIAL, QAPI, peer::sequential(service.clone(), COUNT).await?);
        table.add(SCHEMA, QAPI, peer::schema(&service, SCHEMAS).await?);
        table.add(THIRTY_TWO, QAPI, peer::in_flight(service, COUNT, 32).await?);
        anyhow::Ok(())
    })?;
    threads()?.block_on(async {
        let (service, _task) = peer::connect(path).await?;
        table.add(SEQUENTIAL, QAPI_THREADS, peer::sequential(service.clone(), COUNT).await?);
        anyhow::Ok(())
    })
}

/// Closes a session and makes sure of it, because QEMU serves one client at a time.
async fn end(session: Session) -> Result<()> {
    session.close();
    session.closed().await;
    Ok(())
}

/// One round on a peer that answers as fast as it can.
fn on_scripted(path: &Path, table: &mut Table) -> Result<()> {
    const COUNT: usize = 64_000;
    table.add(FAST, FLOOR, Floor::connect(path)?.run("query-status", COUNT, 32)?);
    one_thread()?.block_on(async {
        let session = ours::connect(path, OutOfBand::Auto).await?;
        table.add(FAST, OURS, ours::in_flight(&session, COUNT, 32).await?.0);
        anyhow::Ok(())
    })?;
    one_thread()?.block_on(async {
        let (service, _task) = peer::connect(path).await?;
        table.add(FAST, QAPI, peer::in_flight(service, COUNT / 8, 32).await?);
        anyhow::Ok(())
    })
}

/// How many events a second one subscriber takes, all of them.
fn events(path: &Path) -> Result<f64> {
    const COUNT: usize = 200_000;
    one_thread()?.block_on(async {
        let session = ours::connect(path, OutOfBand::Auto).await?;
        let mut events = session.events();
        let arguments = serde_json::json!({ "count": COUNT });
        let stop = start();
        let flood = tokio::spawn({
            let session = session.clone();
            async move { session.execute_raw("flood", Some(arguments)).await }
        });
        for taken in 0..COUNT {
            match events.recv().await {
                Ok(_) => {}
                Err(EventsError::Missed(missed)) => anyhow::bail!("{missed} events lost after {taken}"),
                Err(error) => return Err(error.into()),
            }
        }
        flood.await??;
        Ok(stop(COUNT).rate)
    })
}

/// What 1,000 sessions cost while nothing happens: KiB each, and processor time in ms over 2 s.
fn idle_sessions(path: &Path) -> Result<(f64, f64)> {
    const COUNT: u32 = 1000;
    one_thread()?.block_on(async {
        let before = resident_kib()?;
        let mut sessions = Vec::new();
        for _ in 0..COUNT {
            let session = ours::connect(path, OutOfBand::Auto).await?;
            session.execute(qmp_proto::QueryStatus {}).await?;
            sessions.push(session);
        }
        #[expect(clippy::cast_precision_loss, reason = "some MiB")]
        let each = resident_kib()?.saturating_sub(before) as f64 / f64::from(COUNT);
        let used = cpu();
        tokio::time::sleep(Duration::from_secs(2)).await;
        let idle = cpu().saturating_sub(used);
        ensure!(sessions.len() == COUNT as usize, "sessions were lost");
        // Waking up from the one sleep of this measurement costs some microseconds.
        Ok((each, idle.saturating_sub(Duration::from_micros(500)).as_secs_f64() * 1e3))
    })
}

/// A QEMU without a machine, ended when dropped.
struct Qemu {
    child: Child,
    program: PathBuf,
    path: PathBuf,
}

impl Qemu {
    fn start(program: &Path, directory: &Path) -> Result<Self> {
        let path = directory.join("qmp.sock");
        let child = Command::new(program)
            .args(["-machine", "none", "-nodefaults", "-display", "none", "-S", "-qmp"])
            .arg(format!("unix:{},server=on,wait=off", path.display()))
            .stdin(Stdio::null())
            .spawn()
            .with_context(|| format!("cannot start {}", program.display()))?;
        let qemu = Self { child, program: program.to_owned(), path };
        let begin = Instant::now();
        while !qemu.path.exists() {
            ensure!(begin.elapsed().as_secs() < 30, "QEMU did not start");
            std::thread::yield_now();
        }
        Ok(qemu)
    }
}

impl Drop for Qemu {
    fn drop(&mut self) {
        // It may have ended by itself.
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
