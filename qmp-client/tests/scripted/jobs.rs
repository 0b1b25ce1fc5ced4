//! Jobs whose end is told in ways that a real QEMU shows only by chance.

use qmp_client::testing::FakeQemu;
use qmp_client::{JobEnd, JobError, Options};
use serde_json::{Value, json};

use crate::peer::options;

fn job(id: &str, status: &str, error: Option<&str>) -> Value {
    let mut job =
        json!({"id": id, "type": "backup", "status": status, "current-progress": 1, "total-progress": 2});
    if let Some(error) = error {
        job["error"] = json!(error);
    }
    job
}

fn change(fake: FakeQemu, id: &str, status: &str) -> FakeQemu {
    fake.event("JOB_STATUS_CHANGE", json!({"id": id, "status": status}))
}

fn ended(fake: FakeQemu, event: &str, id: &str, error: Option<&str>) -> FakeQemu {
    let mut data = json!({"type": "backup", "device": id, "len": 2, "offset": 2, "speed": 0});
    if let Some(error) = error {
        data["error"] = json!(error);
    }
    fake.event(event, data)
}

/// What waiting for `job0` comes to.
async fn wait(fake: FakeQemu, options: &Options) -> Result<JobEnd, JobError> {
    let (session, fake) = fake.session(options).await.unwrap();
    let mut job = session.job("job0");
    // The events that come before the answer are those of a job that was quicker than its caller.
    session.execute_raw("start", None).await.unwrap();
    let end = job.wait().await;
    drop((job, session));
    fake.finished().await.unwrap();
    end
}

#[tokio::test]
async fn the_end_of_a_job_is_found_wherever_it_is_told() {
    let none = json!([]);
    let start = || FakeQemu::new().reply("start", json!({}));
    // It runs, then concludes and is kept.
    for (error, end) in [
        (None, JobEnd::Done),
        (Some("Operation canceled"), JobEnd::Cancelled),
        (Some("No space left on device"), JobEnd::Failed("No space left on device".into())),
    ] {
        let fake = start()
            .reply("query-jobs", json!([job("other", "concluded", Some("x")), job("job0", "running", None)]));
        let fake = change(change(fake, "other", "concluded"), "job0", "concluded");
        let fake = fake.reply("query-jobs", json!([job("job0", "concluded", error)]));
        assert_eq!(wait(fake, &options()).await.unwrap(), end);
    }
    // It vanishes.
    for (event, error, end) in [
        ("BLOCK_JOB_COMPLETED", None, JobEnd::Done),
        ("BLOCK_JOB_CANCELLED", None, JobEnd::Cancelled),
        ("BLOCK_JOB_COMPLETED", Some("I/O error"), JobEnd::Failed("I/O error".into())),
    ] {
        let fake = start().reply("query-jobs", json!([job("job0", "running", None)]));
        let fake = change(ended(fake, event, "job0", error), "job0", "concluded");
        let fake = change(fake.reply("query-jobs", none.clone()), "job0", "null");
        assert_eq!(wait(fake, &options()).await.unwrap(), end);
    }
    // It had vanished before anybody looked.
    let fake = change(FakeQemu::new(), "job0", "created");
    let fake =
        change(change(ended(fake, "BLOCK_JOB_COMPLETED", "job0", None), "job0", "concluded"), "job0", "null");
    let fake = fake.reply("start", json!({})).reply("query-jobs", none.clone());
    assert_eq!(wait(fake, &options()).await.unwrap(), JobEnd::Done);
}

#[tokio::test]
async fn an_end_that_is_not_known_is_not_made_up() {
    let fake = FakeQemu::new().reply("start", json!({})).reply("query-jobs", json!([]));
    let error = wait(fake, &options()).await.unwrap_err();
    assert!(matches!(&error, JobError::NotFound { id } if id == "job0"), "{error:?}");

    // The event that told it was dropped.
    let mut fake = ended(change(FakeQemu::new(), "job0", "running"), "BLOCK_JOB_COMPLETED", "job0", None);
    for _ in 0..3 {
        fake = change(fake, "job0", "null");
    }
    let fake = fake.reply("start", json!({})).reply("query-jobs", json!([]));
    let error = wait(fake, &Options { event_backlog: 2, ..options() }).await.unwrap_err();
    assert!(matches!(&error, JobError::Missed { id } if id == "job0"), "{error:?}");

    let fake = FakeQemu::new().reply("start", json!({}));
    let fake = fake.reply("query-jobs", json!([job("job0", "running", None)])).hang_up();
    let error = wait(fake, &options()).await.unwrap_err();
    assert!(matches!(&error, JobError::Closed { .. }), "{error:?}");
}
