//! `qapi`, the client that Rust programs use today.

use std::path::Path;
use std::sync::Arc;

use anyhow::Result;
use qapi::futures::{QapiService, QmpStreamTokio};
use qapi::qmp;
use tokio::io::WriteHalf;
use tokio::net::UnixStream;
use tokio::task::JoinHandle;

use crate::measure::{Cost, start};

type Service = Arc<QapiService<QmpStreamTokio<WriteHalf<UnixStream>>>>;

pub async fn connect(path: &Path) -> Result<(Service, JoinHandle<()>)> {
    let stream = QmpStreamTokio::open_uds(path).await?;
    let (service, task) = stream.negotiate().await?.spawn_tokio();
    Ok((Arc::new(service), task))
}

pub async fn schema(service: Service, count: usize) -> Result<Cost> {
    tokio::spawn(async move {
        let stop = start();
        for _ in 0..count {
            service.execute(qmp::query_qmp_schema {}).await?;
        }
        Ok(stop(count))
    })
    .await?
}

pub async fn in_flight(service: Service, count: usize, tasks: usize) -> Result<Cost> {
    let stop = start();
    let tasks: Vec<_> = (0..tasks)
        .map(|_| {
            let service = Arc::clone(&service);
            tokio::spawn(async move {
                for _ in 0..count / tasks {
                    service.execute(qmp::query_status {}).await?;
                }
                anyhow::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await??;
    }
    Ok(stop(count))
}
