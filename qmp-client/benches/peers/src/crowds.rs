//! What needs no base to compare with: a flood of events, and many sessions at rest.

use std::path::Path;
use std::time::Duration;

use anyhow::Result;
use qmp_client::{EventsError, OutOfBand};
use qmp_proto::QueryStatus;
use tokio::runtime::Builder;

use crate::measure::{other_threads, resident_kib, start};
use crate::ours;
use crate::rounds::one_thread;

/// How many events a second one subscriber takes, and how many it misses.
pub fn events(path: &Path) -> Result<(f64, f64)> {
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
        let (mut taken, mut missed) = (0, 0);
        while taken + missed < COUNT {
            match events.recv().await {
                Ok(_) => taken += 1,
                Err(EventsError::Missed(more)) => missed += usize::try_from(more)?,
                Err(error) => return Err(error.into()),
            }
        }
        flood.await??;
        #[expect(clippy::cast_precision_loss, reason = "some thousands")]
        Ok((stop(taken).rate, missed as f64))
    })
}

/// What 1,000 sessions cost while nothing happens: KiB each, and processor time in ms over 2 s.
pub fn idle_sessions(path: &Path) -> Result<(f64, f64)> {
    const COUNT: u32 = 1000;
    let before = resident_kib()?;
    let runtime = Builder::new_multi_thread().worker_threads(1).enable_all().build()?;
    let sessions = runtime.block_on(async {
        let mut sessions = Vec::new();
        for _ in 0..COUNT {
            let session = ours::connect(path, OutOfBand::Auto).await?;
            session.execute(QueryStatus {}).await?;
            sessions.push(session);
        }
        anyhow::Ok(sessions)
    })?;
    #[expect(clippy::cast_precision_loss, reason = "some MiB")]
    let each = resident_kib()?.saturating_sub(before) as f64 / f64::from(COUNT);
    // What the last connection left to do is over after this.
    std::thread::sleep(Duration::from_millis(500));
    let before = other_threads()?;
    std::thread::sleep(Duration::from_secs(2));
    let used = other_threads()?.saturating_sub(before);
    // They still are what was measured.
    runtime.block_on(async {
        for session in &sessions {
            session.execute(QueryStatus {}).await?;
        }
        anyhow::Ok(())
    })?;
    Ok((each, used.as_secs_f64() * 1e3))
}
