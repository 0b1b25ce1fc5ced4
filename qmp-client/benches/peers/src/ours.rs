//! This crate's client, used as its documentation says.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::Result;
use qmp_client::{Options, OutOfBand, Session};
use qmp_proto::{QueryQmpSchema, QueryStatus};

use crate::measure::{Cost, median, start};

/// A session with or without out-of-band commands.
pub async fn connect(path: &Path, oob: OutOfBand) -> Result<Session> {
    let options = Options { oob, greeting: Duration::from_secs(30), ..Options::default() };
    Ok(Session::connect(path, &options).await?)
}

/// Asks `count` times for the schema, a reply of 207 kB, from a task as most programs do.
pub async fn schema(session: Session, count: usize) -> Result<Cost> {
    tokio::spawn(async move {
        let stop = start();
        for _ in 0..count {
            session.execute(QueryQmpSchema {}).await?;
        }
        Ok(stop(count))
    })
    .await?
}

/// Sends `count` commands from `tasks` tasks on one session. Also: how much longer than the median the slowest
/// call took.
pub async fn in_flight(session: &Session, count: usize, tasks: usize) -> Result<(Cost, f64)> {
    let stop = start();
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let session = session.clone();
            tokio::spawn(async move {
                let mut took = Vec::with_capacity(count / tasks);
                for _ in 0..count / tasks {
                    let begin = Instant::now();
                    session.execute(QueryStatus {}).await?;
                    took.push(begin.elapsed().as_secs_f64());
                }
                anyhow::Ok(took)
            })
        })
        .collect();
    let mut took = Vec::with_capacity(count);
    for task in tasks {
        took.extend(task.await??);
    }
    let cost = stop(took.len());
    let slowest = took.iter().copied().fold(0.0, f64::max);
    Ok((cost, slowest / median(took)))
}
