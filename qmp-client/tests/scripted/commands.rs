//! Commands and their replies, deadlines, cancelling.

use std::os::unix::net::UnixStream;
use std::time::Duration;

use qmp_client::{ClientError, Liveness, Options, OutOfBand, Session};
use qmp_proto::{Command, QueryStatus, Stop};
use serde_json::json;
use tokio::time::Instant;

use crate::peer::{SHORT, negotiate, options, session, session_with, told};

const RUNNING: &str = "{\"status\": \"running\", \"running\": true}";

#[tokio::test(start_paused = true)]
async fn replies_out_of_order_and_to_nobody() {
    let (session, mut peer) = session().await;
    let talk = async {
        let (first, second, third) = (peer.command().await, peer.command().await, peer.command().await);
        peer.send("{\"return\": 1, \"id\": 99}\r\n{\"return\": 2, \"id\": \"x\"}\r\n").await;
        peer.reply(&third, "\"third\"").await;
        peer.reply(&first, "\"first\"").await;
        peer.send(
            "{\"return\": 3}\r\n{\"something\": \"new\"}\r\n{\"error\": {\"desc\": \"x\"}, \"id\": 98}\r\n",
        )
        .await;
        peer.reply(&third, "\"again\"").await;
        peer.reply(&second, "\"second\"").await;
    };
    // QEMU's parser could stumble over such a text, so these commands have ids.
    let odd = || Some(json!({ "text": "é" }));
    let (first, second, third, ()) = tokio::join!(
        session.execute_raw("a", odd()),
        session.execute_raw("b", odd()),
        session.execute_raw("c", odd()),
        talk
    );
    assert_eq!(
        [first.unwrap(), second.unwrap(), third.unwrap()],
        [json!("first"), json!("second"), json!("third")]
    );
}

#[tokio::test(start_paused = true)]
async fn commands_have_their_shortest_form() {
    let (session, mut peer) = session().await;
    let work = async {
        session.execute(QueryStatus {}).await.unwrap();
        session.execute_raw("a", Some(json!({}))).await.unwrap();
        session.execute_raw("b", Some(json!({"c": [1, null]}))).await.unwrap();
        session.call_raw("yank", None).out_of_band().send().await.unwrap();
    };
    let talk = async {
        let mut lines = Vec::new();
        for (reply, id) in [(RUNNING, ""), ("1", ""), ("2", ""), ("3", ", \"id\": 0")] {
            let mut bytes = vec![0; 200];
            let count = tokio::io::AsyncReadExt::read(&mut peer.stream, &mut bytes).await.unwrap();
            bytes.truncate(count);
            lines.push(String::from_utf8(bytes).unwrap());
            peer.send(format!("{{\"return\": {reply}{id}}}\r\n")).await;
        }
        lines
    };
    let ((), lines) = tokio::join!(work, talk);
    insta::assert_snapshot!(lines.join("\n"), @r#"
    {"execute":"query-status"}
    {"execute":"a"}
    {"execute":"b","arguments":{"c":[1,null]}}
    {"exec-oob":"yank","id":0}
    "#);
}

#[tokio::test(start_paused = true)]
async fn every_way_to_fail_says_what_was_wrong() {
    let (session, mut peer) = session().await;
    let work = async {
        let mut told_all = Vec::new();
        told_all.push(told(&session.execute(QueryStatus {}).await.unwrap_err()));
        told_all.push(told(&session.execute(QueryStatus {}).await.unwrap_err()));
        told_all.push(told(&session.execute(QueryStatus {}).await.unwrap_err()));
        told_all.push(told(&session.call(QueryStatus {}).timeout(SHORT).send().await.unwrap_err()));
        told_all.push(told(&session.execute_raw("a", Some(json!([1]))).await.unwrap_err()));
        told_all.push(told(&session.execute_oob(QueryStatus {}).await.unwrap_err()));
        let null = std::fs::File::open("/dev/null").unwrap();
        told_all.push(told(&session.getfd(null).await.unwrap_err()));
        session.close();
        told_all.push(told(&session.execute(QueryStatus {}).await.unwrap_err()));
        told_all
    };
    let talk = async {
        let command = peer.command().await;
        peer.refuse(&command, "{\"class\": \"GenericError\", \"desc\": \"not today\"}").await;
        let command = peer.command().await;
        peer.refuse(&command, "{\"class\": \"Brandnew\", \"desc\": \"odd\"}").await;
        peer.answer("query-status", "{\"status\": 5}").await;
        peer.command().await;
    };
    let (told_all, ()) = tokio::join!(work, talk);
    insta::assert_snapshot!(told_all.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn without_oob_nothing_goes_out_of_band() {
    let (session, _peer) = session_with(&Options { oob: OutOfBand::Off, ..options() }).await;
    let error = session.call_raw("yank", None).out_of_band().send().await.unwrap_err();
    assert_eq!(told(&error), "this monitor does not support out-of-band commands");
}

#[tokio::test(start_paused = true)]
async fn deadlines_hold_and_late_replies_are_discarded() {
    let (session, mut peer) = session().await;
    let begin = Instant::now();
    let error = session.call(Stop {}).timeout(SHORT).send().await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { sent: true, .. }), "{error:?}");
    assert_eq!(begin.elapsed(), SHORT);
    assert_eq!(*session.liveness().borrow(), Liveness::Unresponsive);
    let error = session.execute(Stop {}).await.unwrap_err();
    assert!(matches!(error, ClientError::Timeout { sent: true, .. }), "{error:?}");
    assert_eq!(begin.elapsed(), 11 * SHORT);

    let (first, second) = (peer.command().await, peer.command().await);
    peer.reply(&first, "\"late\"").await;
    peer.reply(&second, "\"later\"").await;
    let (status, _) = tokio::join!(session.execute(QueryStatus {}), peer.answer("query-status", RUNNING));
    assert!(status.unwrap().running);
    assert_eq!(*session.liveness().borrow(), Liveness::Responsive);
}

#[tokio::test(start_paused = true)]
async fn a_silent_qemu_gets_no_more_than_a_window() {
    let (session, mut peer) = session().await;
    for number in 0..20 {
        let error = session.call(Stop {}).timeout(SHORT).send().await.unwrap_err();
        let ClientError::Timeout { sent, .. } = error else { panic!("{error:?}") };
        assert_eq!(sent, number < 7);
    }
    for _ in 0..7 {
        peer.answer("stop", "{}").await;
    }
    let (status, _) = tokio::join!(session.execute(QueryStatus {}), peer.answer("query-status", RUNNING));
    assert!(status.unwrap().running);
}

#[tokio::test(start_paused = true)]
async fn a_dropped_call_harms_nobody() {
    let (session, mut peer) = session().await;
    let gave_up = tokio::time::timeout(SHORT, session.execute(Stop {})).await;
    assert!(gave_up.is_err());
    let work = async {
        let (first, second) = tokio::join!(session.execute_raw("a", None), session.execute_raw("b", None));
        (first.unwrap(), second.unwrap())
    };
    let talk = async {
        for reply in ["0", "1", "2"] {
            let command = peer.command().await;
            peer.reply(&command, reply).await;
        }
    };
    let (replies, ()) = tokio::join!(work, talk);
    assert_eq!(replies, (json!(1), json!(2)));
}

#[tokio::test(start_paused = true)]
async fn a_large_command_has_time_while_it_moves() {
    let (session, mut peer) = session().await;
    let text = "x".repeat(1 << 20);
    let begin = Instant::now();
    let work = session.execute_raw("large", Some(json!({ "text": text })));
    let talk = async {
        // 64 KiB every 6 s: the whole takes some 100 s, with a deadline of 10 s.
        let mut taken = 0;
        let mut piece = vec![0; 64 << 10];
        while taken < text.len() {
            tokio::time::sleep(6 * SHORT).await;
            taken += tokio::io::AsyncReadExt::read(&mut peer.stream, &mut piece).await.unwrap();
        }
        // Too long to go without an id.
        peer.send("{\"return\": {}, \"id\": 0}\r\n").await;
    };
    let (reply, ()) = tokio::join!(work, talk);
    assert_eq!(reply.unwrap(), json!({}));
    assert!(begin.elapsed() > 90 * SHORT);

    let begin = Instant::now();
    let stuck = session.execute_raw("large", Some(json!({ "text": text }))).await;
    assert!(matches!(stuck, Err(ClientError::Timeout { .. })), "{stuck:?}");
    assert!(begin.elapsed() <= 21 * SHORT, "one that does not move has none");
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_never_reads_is_still_listened_to() {
    let (session, mut peer) = session().await;
    let mut events = session.events();
    let stuck = session.execute_raw("large", Some(json!({ "text": "x".repeat(1 << 20) })));
    let listen = async {
        for _ in 0..1000 {
            peer.send("{\"event\": \"STOP\"}\r\n").await;
            events.recv().await.unwrap();
        }
    };
    let (stuck, ()) = tokio::join!(stuck, listen);
    assert!(matches!(stuck, Err(ClientError::Timeout { .. })), "{stuck:?}");
}

#[tokio::test]
async fn many_tasks_share_a_session() {
    let (session, mut peer) = session().await;
    let tasks: Vec<_> = (0..50)
        .map(|number| {
            let session = session.clone();
            tokio::spawn(async move {
                for round in 0..20 {
                    let mine = json!({ "task": number, "round": round });
                    assert_eq!(session.execute_raw("echo", Some(mine.clone())).await.unwrap(), mine);
                }
            })
        })
        .collect();
    for _ in 0..1000 {
        let command = peer.command().await;
        peer.reply(&command, &command["arguments"].to_string()).await;
    }
    for task in tasks {
        task.await.unwrap();
    }
}

/// A command whose arguments cannot be written.
struct Impossible;

impl serde::Serialize for Impossible {
    fn serialize<S: serde::Serializer>(&self, _: S) -> Result<S::Ok, S::Error> {
        Err(serde::ser::Error::custom("never"))
    }
}

impl Command for Impossible {
    const NAME: &'static str = "impossible";
    const ALLOW_OOB: bool = true;
    type Return = ();
}

#[tokio::test(start_paused = true)]
async fn a_thousand_sessions_share_a_process() {
    let mut sessions = Vec::new();
    for _ in 0..1000 {
        sessions.push(session().await);
    }
    for (session, peer) in &mut sessions {
        let (status, _) = tokio::join!(session.execute(QueryStatus {}), peer.answer("query-status", RUNNING));
        assert!(status.unwrap().running);
    }
    for (session, mut peer) in sessions {
        drop(session);
        peer.end().await;
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_written_is_not_sent() {
    let (session, mut peer) = session().await;
    let error = session.call(Impossible).out_of_band().timeout(Duration::ZERO).send().await.unwrap_err();
    assert_eq!(told(&error), "impossible: cannot serialize the arguments as JSON: never");
    drop(session);
    peer.end().await;
}

/// The runtime that serves the connection is not run while another waits for a reply.
#[test]
fn a_deadline_holds_although_the_connection_stands_still() {
    let runtime = || tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (serving, waiting) = (runtime(), runtime());
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let peer = std::thread::spawn(move || {
        negotiate(&mut theirs);
        theirs
    });
    let session = serving.block_on(Session::from_unix_stream(ours, &options())).unwrap();
    let _silent = peer.join().unwrap();
    let error = waiting.block_on(session.call_raw("a", None).timeout(SHORT / 10).send()).unwrap_err();
    assert!(matches!(error, ClientError::Timeout { sent: true, .. }), "{error:?}");
}
