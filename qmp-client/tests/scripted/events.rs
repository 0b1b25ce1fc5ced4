//! Events: all of them, in order, or an exact account of what was missed.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use qmp_client::{EventsError, Options, Session};
use qmp_proto::{AnyEvent, event};
use serde_json::json;

use crate::peer::{Peer, SHORT, negotiate, options, session, session_with};

async fn flood(peer: &mut Peer, count: usize) {
    for number in 0..count {
        peer.send(format!(
            "{{\"event\": \"NUMBER\", \"data\": {{\"n\": {number}}}, \"timestamp\": {{\"seconds\": 7, \"microseconds\": 8}}}}\r\n"
        ))
        .await;
    }
}

fn number(event: &AnyEvent) -> u64 {
    let AnyEvent::Unknown { data, .. } = event else { panic!("{event:?}") };
    data["n"].as_u64().unwrap()
}

#[tokio::test(start_paused = true)]
async fn every_subscriber_sees_every_event_in_order() {
    let (session, mut peer) = session().await;
    let mut subscribers: Vec<_> = (0..3).map(|_| session.events()).collect();
    flood(&mut peer, 1000).await;
    for subscriber in &mut subscribers {
        for expected in 0..1000 {
            let event = subscriber.recv().await.unwrap();
            assert_eq!((number(&event.event), event.timestamp.seconds), (expected, 7));
        }
        assert_eq!(subscriber.try_recv(), Ok(None));
    }
}

#[tokio::test(start_paused = true)]
async fn a_slow_subscriber_learns_how_many_it_missed() {
    let (session, mut peer) = session_with(&Options { event_backlog: 10, ..options() }).await;
    let (mut slow, mut other) = (session.events(), session.events_named(["OTHER"]));
    flood(&mut peer, 100).await;
    peer.send("{\"event\": \"OTHER\"}\r\n").await;
    assert_eq!(other.recv().await.unwrap().event.name(), "OTHER");
    assert_eq!(slow.recv().await, Err(EventsError::Missed(91)));
    assert_eq!(number(&slow.recv().await.unwrap().event), 91);
    flood(&mut peer, 1).await;
    for expected in 92..100 {
        assert_eq!(number(&slow.recv().await.unwrap().event), expected);
    }
    assert_eq!(slow.recv().await.unwrap().event.name(), "OTHER");
    assert_eq!(number(&slow.recv().await.unwrap().event), 0);
}

#[tokio::test(start_paused = true)]
async fn large_events_do_not_fill_the_memory() {
    let (session, mut peer) = session_with(&Options { event_backlog_bytes: 1 << 20, ..options() }).await;
    let mut events = session.events();
    let large =
        format!("{{\"event\": \"LARGE\", \"data\": {{\"text\": \"{}\"}}}}\r\n", "x".repeat(300 << 10));
    for _ in 0..10 {
        peer.send(&large).await;
    }
    // The reply shows that all of them were read.
    tokio::join!(async { session.execute_raw("a", None).await.unwrap() }, async {
        peer.answer("a", "{}").await
    });
    assert_eq!(events.recv().await, Err(EventsError::Missed(7)));
    for _ in 0..3 {
        assert_eq!(events.recv().await.unwrap().event.name(), "LARGE");
    }
    assert_eq!(events.try_recv(), Ok(None));
}

#[tokio::test(start_paused = true)]
async fn subscribing_begins_at_the_call_and_ends_with_the_drop() {
    let (session, mut peer) = session().await;
    drop(session.events());
    let mut first = session.events();
    flood(&mut peer, 1).await;
    first.recv().await.unwrap();
    let mut second = session.events();
    peer.send("{\"event\": \"STOP\"}\r\n").await;
    assert_eq!(second.recv().await.unwrap().event.name(), "STOP");
    assert_eq!(first.recv().await.unwrap().event.name(), "STOP");
}

#[tokio::test(start_paused = true)]
async fn odd_events_arrive_whole() {
    let (session, mut peer) = session().await;
    let mut events = session.events();
    peer.send("{\"event\": \"TOMORROW\", \"data\": {\"a\": 1}}\r\n").await;
    peer.send("{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": \"maybe\"}}\r\n").await;
    peer.send("{\"event\": \"SHUTDOWN\", \"data\": 5}\r\n").await;
    peer.send("{\"event\": \"TODAY\"}\r\n").await;
    let expected = [
        ("TOMORROW", json!({"a": 1})),
        ("SHUTDOWN", json!({"guest": "maybe"})),
        ("SHUTDOWN", json!(5)),
        ("TODAY", json!({})),
    ];
    for (name, data) in expected {
        let event = events.recv().await.unwrap().event;
        assert_eq!(event, AnyEvent::Unknown { name: name.into(), data });
    }
}

#[tokio::test(start_paused = true)]
async fn waiting_for_one_kind() {
    let (session, mut peer) = session().await;
    let mut wait = session.wait_for::<event::Shutdown>();
    peer.send("{\"event\": \"STOP\"}\r\n").await;
    peer.send("{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": false, \"reason\": \"host-signal\"}}\r\n")
        .await;
    peer.send("{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true, \"reason\": \"guest-shutdown\"}}\r\n")
        .await;
    assert!(wait.matching(SHORT, |shutdown| shutdown.guest).await.unwrap().guest);
    assert_eq!(wait.wait_timeout(SHORT).await, Err(EventsError::Timeout { name: "SHUTDOWN", after: SHORT }));
    peer.send("{\"event\": \"SHUTDOWN\", \"data\": 5}\r\n").await;
    assert!(matches!(wait.wait_timeout(SHORT).await, Err(EventsError::Decode { name: "SHUTDOWN", .. })));
}

#[tokio::test]
async fn a_flood_does_not_overtake_the_subscriber_that_runs_the_runtime() {
    const COUNT: usize = 10_000;
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    // As fast as it can, on a thread of its own.
    let peer = std::thread::spawn(move || {
        negotiate(&mut theirs);
        let mut heard = Vec::new();
        while !heard.ends_with(b"\"flood\"}") {
            let mut byte = [0];
            theirs.read_exact(&mut byte).unwrap();
            heard.push(byte[0]);
        }
        theirs.write_all("{\"event\": \"RESUME\"}\r\n".repeat(COUNT).as_bytes()).unwrap();
        theirs.write_all(b"{\"return\": 1}\r\n").unwrap();
    });
    let session = Session::from_unix_stream(ours, &Options::default()).await.unwrap();
    let mut events = session.events();
    let flood = tokio::spawn(async move { session.execute_raw("flood", None).await });
    for _ in 0..COUNT {
        assert_eq!(events.recv().await.unwrap().event.name(), "RESUME");
    }
    assert_eq!(flood.await.unwrap().unwrap(), 1);
    peer.join().unwrap();
}
