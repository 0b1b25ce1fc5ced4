//! A session whose peer is restarted.

use std::time::Duration;

use qmp_client::reconnect::{Backoff, Link, News, Reconnecting};
use qmp_client::testing::FakeQemu;
use qmp_client::{ClientError, CloseReason, Options};
use serde_json::json;

use crate::peer::{options, told};

const SOON: Backoff =
    Backoff { first: Duration::from_millis(5), longest: Duration::from_millis(20), give_up: None };

#[tokio::test]
async fn a_peer_that_is_restarted_is_found_again() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("qmp.sock");
    let first = FakeQemu::new().event("STOP", json!({})).ignore("a").hang_up().listen(&path).unwrap();
    let qemu = Reconnecting::connect(&path, &options(), SOON).await.unwrap();
    let mut events = qemu.events();
    let mut states = qemu.link();
    assert!(matches!(events.next().await, Some(News::Event(event)) if event.event.name() == "STOP"));
    // Under way when the connection ends: it fails, and is not sent again.
    let error = qemu.execute_raw("a", None).await.unwrap_err();
    assert!(matches!(&error, ClientError::Closed { source: CloseReason::Eof, .. }), "{error:?}");
    first.finished().await.unwrap();
    let refused =
        states.wait_for(|link| matches!(link, Link::Down { error: Some(_), .. })).await.unwrap().clone();
    assert!(matches!(refused, Link::Down { reason: CloseReason::Eof, .. }), "{refused:?}");

    // Said while there is no connection: it waits for one.
    let early = tokio::spawn({
        let qemu = qemu.clone();
        async move { qemu.execute_raw("b", None).await }
    });
    std::fs::remove_file(&path).unwrap();
    let second = FakeQemu::new()
        .reply("b", json!(7))
        .reply("c", json!({}))
        .event("RESUME", json!({}))
        .listen(&path)
        .unwrap();
    assert_eq!(early.await.unwrap().unwrap(), 7);
    assert_eq!(events.next().await, Some(News::Gap(CloseReason::Eof)));
    qemu.execute_raw("c", None).await.unwrap();
    assert!(matches!(events.next().await, Some(News::Event(event)) if event.event.name() == "RESUME"));
    qemu.close();
    assert_eq!(events.next().await, None);
    second.finished().await.unwrap();
    let error = qemu.execute_raw("d", None).await.unwrap_err();
    assert!(matches!(error, ClientError::Closed { source: CloseReason::Local, .. }), "{error:?}");
}

#[tokio::test]
async fn a_peer_that_does_not_come_back() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("qmp.sock");
    let fake = FakeQemu::new().hang_up().listen(&path).unwrap();
    let options = Options { command: Duration::from_millis(50), ..options() };
    let qemu = Reconnecting::connect(&path, &options, SOON).await.unwrap();
    let mut states = qemu.link();
    fake.finished().await.unwrap();
    states.wait_for(|link| matches!(link, Link::Down { error: Some(_), .. })).await.unwrap();
    let error = qemu.execute_raw("a", None).await.unwrap_err();
    let text = told(&error).replace(&path.display().to_string(), "PATH");
    assert_eq!(text, "a: could not reconnect to PATH within 50ms: cannot connect to PATH");
    drop(qemu);
    states.wait_for(|link| matches!(link, Link::Closed { .. })).await.unwrap();

    std::fs::remove_file(&path).unwrap();
    let fake = FakeQemu::new().hang_up().listen(&path).unwrap();
    let once = Backoff { give_up: Some(Duration::ZERO), ..SOON };
    let qemu = Reconnecting::connect(&path, &options, once).await.unwrap();
    fake.finished().await.unwrap();
    assert_eq!(qemu.events().next().await, None);
    let error = qemu.session().await.unwrap_err();
    assert!(matches!(error, ClientError::Closed { source: CloseReason::Eof, .. }), "{error:?}");
}
