//! Jobs of real QEMUs, followed to every kind of end.

use std::time::Duration;

use qmp_client::{ClientError, Job, JobEnd, JobError, Session};
use qmp_proto::JobStatus;
use serde_json::{Value, json};
use tokio::time::timeout;

use super::{LONG, Qemu};
use crate::support::VERSIONS;

/// Adds two disks without content, of 4 GiB and 64 KiB, each beside a copy, and a copy that takes no data.
async fn add_disks(session: &Session) {
    for (name, size) in
        [("large", 4_u64 << 30), ("large-copy", 4 << 30), ("small", 64 << 10), ("small-copy", 64 << 10)]
    {
        let node = json!({"driver": "null-co", "node-name": name, "size": size, "read-zeroes": false});
        session.execute_raw("blockdev-add", Some(node)).await.expect("added");
    }
    let full = json!({
        "driver": "blkdebug", "node-name": "full-copy", "image": {"driver": "null-co", "size": 64 << 10},
        "inject-error": [{"event": "none", "iotype": "write", "errno": 28}],
    });
    session.execute_raw("blockdev-add", Some(full)).await.expect("added");
}

async fn backup(session: &Session, id: &str, from: &str, to: &str, more: Value) -> Job {
    let job = session.job(id);
    let mut arguments = json!({"job-id": id, "device": from, "target": to, "sync": "full"});
    let (Value::Object(all), Value::Object(more)) = (&mut arguments, more) else { panic!("objects") };
    all.extend(more);
    session.execute_raw("blockdev-backup", Some(arguments)).await.expect("started");
    job
}

async fn end(job: &mut Job) -> JobEnd {
    timeout(LONG, job.wait()).await.expect("in time").expect("its end is known")
}

#[tokio::test]
async fn jobs_are_followed_to_every_kind_of_end() {
    for version in VERSIONS {
        let mut qemu = Qemu::start(version, &["-machine", "none"]);
        let session = qemu.session().await;
        add_disks(&session).await;
        every_end(&session).await;
        held_and_finished(&session).await;
        not_for_blocks(&session).await;
        let error = session.job("nobody").wait().await.expect_err("there is none");
        assert!(matches!(error, JobError::NotFound { .. }), "{error:?}");
    }
}

async fn every_end(session: &Session) {
    let kept = || json!({"auto-dismiss": false});
    // Those that vanish, and those that are kept.
    for (id, options) in [("gone", json!({})), ("kept", kept())] {
        let keeps = id == "kept";
        let mut job = backup(session, id, "small", "small-copy", options.clone()).await;
        assert_eq!(end(&mut job).await, JobEnd::Done);
        clean(&job, keeps).await;

        let slow = json!({"speed": 1, "auto-dismiss": !keeps});
        let mut job = backup(session, id, "large", "large-copy", slow).await;
        // Nothing is lost by waits that are given up.
        for _ in 0..3 {
            timeout(Duration::from_millis(1), job.wait()).await.expect_err("it is slow");
        }
        assert!(job.query().await.expect("answered").is_some());
        job.cancel().await.expect("cancelled");
        assert_eq!(end(&mut job).await, JobEnd::Cancelled);
        clean(&job, keeps).await;

        let mut job = backup(session, id, "small", "full-copy", options).await;
        assert_eq!(end(&mut job).await, JobEnd::Failed("No space left on device".into()));
        clean(&job, keeps).await;
    }
}

/// Dismisses a job that is kept; one that is not has gone.
async fn clean(job: &Job, kept: bool) {
    if kept {
        job.dismiss().await.expect("it was kept");
    } else {
        let error = job.dismiss().await.expect_err("it is gone");
        assert!(matches!(error, ClientError::Refused { .. }), "{error:?}");
    }
    assert_eq!(job.query().await.expect("answered"), None);
}

async fn reach(job: &mut Job, wanted: JobStatus) {
    let found = timeout(LONG, job.wait_for(|status| *status == wanted))
        .await
        .expect("in time")
        .expect("its state is known");
    assert_eq!(found, wanted);
}

async fn held_and_finished(session: &Session) {
    let mut job = backup(session, "held", "large", "large-copy", json!({"speed": 1})).await;
    reach(&mut job, JobStatus::Running).await;
    job.pause().await.expect("paused");
    reach(&mut job, JobStatus::Paused).await;
    job.resume().await.expect("resumed");
    reach(&mut job, JobStatus::Running).await;
    job.cancel().await.expect("cancelled");
    assert_eq!(end(&mut job).await, JobEnd::Cancelled);

    let mut job = backup(session, "pending", "small", "small-copy", json!({"auto-finalize": false})).await;
    reach(&mut job, JobStatus::Pending).await;
    job.finalize().await.expect("finalized");
    assert_eq!(end(&mut job).await, JobEnd::Done);

    let mut job = session.job("mirror");
    let arguments = json!({"job-id": "mirror", "device": "small", "target": "small-copy", "sync": "full"});
    session.execute_raw("blockdev-mirror", Some(arguments)).await.expect("started");
    reach(&mut job, JobStatus::Ready).await;
    job.complete().await.expect("completed");
    assert_eq!(end(&mut job).await, JobEnd::Done);
}

async fn not_for_blocks(session: &Session) {
    let directory = tempfile::tempdir().expect("a temporary folder");
    for (path, fails) in [(directory.path().join("new"), false), (directory.path().join("no/new"), true)] {
        let mut job = session.job("create");
        let options = json!({"driver": "file", "filename": path, "size": 1 << 20});
        let arguments = json!({"job-id": "create", "options": options});
        session.execute_raw("blockdev-create", Some(arguments)).await.expect("started");
        match end(&mut job).await {
            JobEnd::Done => assert!(!fails && path.exists()),
            JobEnd::Failed(words) => assert!(fails && words.contains("No such file or directory"), "{words}"),
            end => panic!("{end:?}"),
        }
        job.dismiss().await.expect("it was kept");
    }
}
