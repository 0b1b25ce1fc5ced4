//! The stand-in for QEMU that users test with: it plays its script, and finds out who does not keep to it.

use qmp_client::testing::FakeQemu;
use qmp_client::{ClientError, CloseReason};
use qmp_proto::{Cont, QueryStatus};
use serde_json::json;

use crate::peer::{options, told};

#[tokio::test]
async fn a_script_is_played() {
    let fake = FakeQemu::new()
        .version(8, 2, 1)
        .reply_to("device_del", json!({"id": "disk0"}), json!({}))
        .event("DEVICE_DELETED", json!({"path": "/x", "device": "disk0"}))
        .ignore("query-status")
        .garbage("half a li");
    let (session, fake) = fake.session(&options()).await.unwrap();
    assert_eq!(session.greeting().version.qemu.minor, 2);
    let mut events = session.events();
    session.execute_raw("device_del", Some(json!({"id": "disk0"}))).await.unwrap();
    assert_eq!(events.recv().await.unwrap().event.name(), "DEVICE_DELETED");
    drop(events);
    let call = session.call(QueryStatus {}).timeout(std::time::Duration::from_millis(20));
    let error = call.send().await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { sent: true, .. }), "{error:?}");
    session.close();
    fake.finished().await.unwrap();
}

#[tokio::test]
async fn a_script_ends_as_it_says() {
    let (session, fake) =
        FakeQemu::new().ignore("cont").garbage("no JSON\r\n").session(&options()).await.unwrap();
    let error = session.execute(Cont {}).await.unwrap_err();
    assert!(matches!(error, ClientError::Closed { source: CloseReason::Garbage { .. }, .. }), "{error:?}");
    fake.finished().await.unwrap();
    let (session, fake) = FakeQemu::new().hang_up().session(&options()).await.unwrap();
    assert_eq!(session.closed().await, CloseReason::Eof);
    fake.finished().await.unwrap();
    let refused = FakeQemu::new().greet_with("SSH-2.0\r\n").session(&options()).await.unwrap_err();
    assert!(matches!(refused, ClientError::NotQmp { .. }), "{refused:?}");
}

#[tokio::test]
async fn who_does_not_keep_to_the_script_is_found_out() {
    let mut mismatches = Vec::new();
    for fake in [
        FakeQemu::new().reply("stop", json!({})),
        FakeQemu::new().reply_to("cont", json!({"a": 1}), json!({})),
        FakeQemu::new(),
    ] {
        let (session, fake) = fake.session(&options()).await.unwrap();
        let error = session.execute(Cont {}).await;
        mismatches.push(fake.finished().await.unwrap_err().to_string());
        // It hangs up then, so that nothing waits for a deadline.
        assert!(matches!(error, Err(ClientError::Closed { .. })), "{error:?}");
    }
    let (session, fake) = FakeQemu::new().reply("cont", json!({})).session(&options()).await.unwrap();
    drop(session);
    mismatches.push(told_mismatch(fake.finished().await));
    insta::assert_snapshot!(mismatches.join("\n"), @r#"
    the fake QEMU: expected stop, got {"execute":"cont"}
    the fake QEMU: cont: expected the arguments {"a":1}, got {}
    the fake QEMU: the script is over, and the client sent {"execute":"cont"}
    the fake QEMU: the client went away before cont
    "#);
}

fn told_mismatch(ended: Result<(), qmp_client::testing::Mismatch>) -> String {
    ended.unwrap_err().to_string()
}

#[tokio::test]
async fn a_script_listens_for_code_that_connects() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("qmp.sock");
    let fake = FakeQemu::new().refuse("cont", "GenericError", "not now").listen(&path).unwrap();
    let session = qmp_client::Session::connect(&path, &options()).await.unwrap();
    let error = session.execute(Cont {}).await.unwrap_err();
    assert_eq!(told(&error), "cont: not now (GenericError)");
    drop(session);
    fake.finished().await.unwrap();
}
