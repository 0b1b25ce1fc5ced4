//! What is measured. Within a round every client does each job right after the others, over a connection of its
//! own (QEMU serves one at a time), so that whatever else the machine does troubles all alike. Many short rounds
//! say more than few long ones.

use std::path::Path;

use anyhow::Result;
use qmp_client::{OutOfBand, Session};
use tokio::runtime::{Builder, Runtime};

use crate::floor::Floor;
use crate::measure::Cost;
use crate::table::Table;
use crate::{ours, peer};

/// What is done.
#[derive(Clone, Copy)]
pub struct Job {
    pub name: &'static str,
    command: &'static str,
    count: usize,
    in_flight: usize,
    /// With out-of-band commands QEMU reads ahead, which helps many commands and costs a lone one.
    oob: OutOfBand,
}

pub const SEQUENTIAL: Job = query_status("sequential", 500, 1);
pub const THIRTY_TWO: Job = query_status("32 in flight", 512, 32);
pub const SIXTY_FOUR: Job = query_status("64 in flight", 512, 64);
pub const SCHEMA: Job = Job {
    name: "query-qmp-schema",
    command: "query-qmp-schema",
    count: 8,
    in_flight: 1,
    oob: OutOfBand::Off,
};
/// Against a peer that answers as fast as one can.
pub const FAST: Job = query_status("fast peer, 32", 16_000, 32);

const fn query_status(name: &'static str, count: usize, in_flight: usize) -> Job {
    let oob = if in_flight == 1 { OutOfBand::Off } else { OutOfBand::Required };
    Job { name, command: "query-status", count, in_flight, oob }
}

pub const FLOOR: &str = "floor";
pub const OURS: &str = "qmp-client";
pub const OURS_THREADS: &str = "qmp-client, threads";
pub const OURS_OOB: &str = "qmp-client, oob";
pub const QAPI: &str = "qapi";
pub const QAPI_THREADS: &str = "qapi, threads";

/// One round of all that needs a real QEMU. Adds to `slowest` how much longer than the median the slowest of our
/// calls took, 32 in flight.
pub fn on_qemu(path: &Path, table: &mut Table, slowest: &mut Vec<f64>) -> Result<()> {
    for job in [SEQUENTIAL, THIRTY_TWO, SIXTY_FOUR, SCHEMA] {
        table.add(job.name, FLOOR, floor(path, job)?);
        let (cost, ratio) = client(&one_thread()?, path, job)?;
        table.add(job.name, OURS, cost);
        if job.name == THIRTY_TWO.name {
            slowest.push(ratio);
        }
        table.add(job.name, OURS_THREADS, client(&threads()?, path, job)?.0);
        if job.oob == OutOfBand::Off {
            let with_oob = Job { oob: OutOfBand::Required, ..job };
            table.add(job.name, OURS_OOB, client(&one_thread()?, path, with_oob)?.0);
        }
        table.add(job.name, QAPI, qapi(&one_thread()?, path, job)?);
        table.add(job.name, QAPI_THREADS, qapi(&threads()?, path, job)?);
    }
    Ok(())
}

/// One round on the scripted peer.
pub fn on_scripted(path: &Path, table: &mut Table) -> Result<()> {
    table.add(FAST.name, FLOOR, floor(path, FAST)?);
    table.add(FAST.name, OURS, client(&one_thread()?, path, FAST)?.0);
    table.add(FAST.name, QAPI, qapi(&one_thread()?, path, Job { count: FAST.count / 8, ..FAST })?);
    Ok(())
}

pub fn one_thread() -> Result<Runtime> {
    Ok(Builder::new_current_thread().enable_all().build()?)
}

fn threads() -> Result<Runtime> {
    Ok(Builder::new_multi_thread().worker_threads(2).enable_all().build()?)
}

fn floor(path: &Path, job: Job) -> Result<Cost> {
    Floor::connect(path)?.run(job.command, job.count, job.in_flight)
}

fn client(runtime: &Runtime, path: &Path, job: Job) -> Result<(Cost, f64)> {
    runtime.block_on(async {
        let session = ours::connect(path, job.oob).await?;
        let done = if job.name == SCHEMA.name {
            (ours::schema(session.clone(), job.count).await?, 1.0)
        } else {
            ours::in_flight(&session, job.count, job.in_flight).await?
        };
        end(session).await;
        Ok(done)
    })
}

fn qapi(runtime: &Runtime, path: &Path, job: Job) -> Result<Cost> {
    runtime.block_on(async {
        let (service, _task) = peer::connect(path).await?;
        if job.name == SCHEMA.name {
            peer::schema(service, job.count).await
        } else {
            peer::in_flight(service, job.count, job.in_flight).await
        }
    })
}

/// Closes a session and makes sure of it, because QEMU serves one client at a time.
async fn end(session: Session) {
    session.close();
    session.closed().await;
}
