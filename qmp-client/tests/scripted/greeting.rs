//! From connecting to the first command.

use qmp_client::{LineEnds, Options, OutOfBand, Session};
use qmp_proto::QueryStatus;
use tokio::net::UnixListener;

use crate::peer::{GREETING, options, pair, session, told, with_id};

/// The error of a handshake with a peer that says `text` and then keeps the connection open.
async fn refusal(text: &str, options: &Options) -> String {
    let (ours, mut peer) = pair();
    peer.send(text).await;
    told(&Session::negotiate(ours, options).await.expect_err("the handshake fails"))
}

/// The error of a handshake with a peer that says `text` and goes away.
async fn refusal_then_end(text: &str) -> String {
    let (ours, mut peer) = pair();
    peer.send(text).await;
    drop(peer);
    told(&Session::negotiate(ours, &options()).await.expect_err("the handshake fails"))
}

/// The error of a handshake with a peer that refuses it.
async fn refused() -> String {
    let (ours, mut peer) = pair();
    let talk = async {
        peer.send(GREETING).await;
        let command = peer.command().await;
        peer.refuse(&command, r#"{"class": "GenericError", "desc": "not now"}"#).await;
    };
    let options = options();
    let (session, ()) = tokio::join!(Session::negotiate(ours, &options), talk);
    told(&session.expect_err("the handshake fails"))
}

#[tokio::test(start_paused = true)]
async fn every_way_to_fail_says_what_was_wrong() {
    let failures = [
        refusal("", &options()).await,
        refusal("\r\n\r\n", &options()).await,
        refusal("{\"event\": \"STOP\"}\r\n{\"return\": {}}\r\n", &options()).await,
        refusal(GREETING, &options()).await,
        refusal(&format!("{GREETING}{{\"event\": \"STOP\"}}\r\n"), &options()).await,
        refusal("SSH-2.0-OpenSSH_9.2\r\n", &options()).await,
        refusal("{\r\n    \"QMP\": {\r\n", &options()).await,
        refusal("\0\0\0\n", &options()).await,
        refusal(&"x".repeat(100), &Options { max_message: 50, ..options() }).await,
        refused().await,
        refusal("\"x\"}\r\n", &options()).await,
        refusal(&GREETING.replace("\"oob\"", ""), &Options { oob: OutOfBand::Required, ..options() }).await,
        refusal_then_end("").await,
        refusal_then_end("{\"QMP\": {\"ver").await,
    ];
    insta::assert_snapshot!(failures.join("\n"));
}

#[tokio::test(start_paused = true)]
async fn events_and_repeated_greetings_do_not_disturb() {
    let (ours, mut peer) = pair();
    let event = "{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 1, \"microseconds\": 2}}\r\n";
    let shake = async {
        peer.send(format!("{event}{GREETING}{event}{GREETING}")).await;
        let command = peer.command().await;
        assert_eq!(command["arguments"], serde_json::json!({"enable": ["oob"]}));
        peer.send(event).await;
        peer.reply(&command, "{}").await;
        peer.answer("query-status", "{\"status\": \"running\", \"running\": true}").await;
    };
    let work = async {
        let session = Session::negotiate(ours, &options()).await.unwrap();
        assert_eq!(session.greeting().version.package, "x");
        assert!(session.has_oob() && !session.passes_descriptors());
        session.execute(QueryStatus {}).await.unwrap()
    };
    let (status, ()) = tokio::join!(work, shake);
    assert!(status.running);
}

#[tokio::test(start_paused = true)]
async fn cut_at_any_byte_the_conversation_is_the_same() {
    let hello = GREETING.as_bytes();
    let reply = b"{\"event\": \"STOP\"}\r\n{\"return\": 5}\r\n{\"return\": 6}\r\n";
    for cut in 0..=hello.len() {
        let (ours, mut peer) = pair();
        let speak = async {
            peer.send_in_two(hello, cut).await;
            let command = peer.command().await;
            let negotiated = with_id("\"return\": {}", &command).into_bytes();
            peer.send_in_two(&negotiated, cut % negotiated.len()).await;
            for _ in 0..2 {
                peer.command().await;
            }
            peer.send_in_two(reply, cut % reply.len()).await;
        };
        let work = async {
            let session = Session::negotiate(ours, &options()).await.unwrap();
            let mut events = session.events();
            let (first, second) =
                tokio::join!(session.execute_raw("a", None), session.execute_raw("b", None));
            assert_eq!((first.unwrap(), second.unwrap()), (5.into(), 6.into()), "cut at {cut}");
            assert_eq!(events.recv().await.unwrap().event.name(), "STOP", "cut at {cut}");
        };
        tokio::join!(work, speak);
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_greets_anew_was_restarted() {
    let (session, mut peer) = session().await;
    let talk = async {
        peer.command().await;
        peer.send(format!("{GREETING}{{\"return\": {{}}}}\r\n")).await;
    };
    let (lost, ()) = tokio::join!(session.execute_raw("a", None), talk);
    assert_eq!(
        told(&lost.unwrap_err()),
        "a: the connection has ended: the peer was restarted: it sent a new greeting"
    );
    assert_eq!(session.closed().await, qmp_client::CloseReason::Restarted);
}

#[tokio::test]
async fn a_socket_nobody_listens_on() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("none.sock");
    let error = Session::connect(&path, &options()).await.unwrap_err();
    assert_eq!(
        told(&error).replace(directory.path().to_str().unwrap(), "DIR"),
        "cannot connect to DIR/none.sock: No such file or directory (os error 2)"
    );
    drop(UnixListener::bind(&path).unwrap());
    let error = Session::connect(&path, &options()).await.unwrap_err();
    assert_eq!(
        told(&error).replace(directory.path().to_str().unwrap(), "DIR"),
        "cannot connect to DIR/none.sock: Connection refused (os error 111)"
    );
}

#[tokio::test]
async fn a_socket_whose_queue_is_full() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("full.sock");
    let socket = socket2::Socket::new(socket2::Domain::UNIX, socket2::Type::STREAM, None).unwrap();
    socket.bind(&socket2::SockAddr::unix(&path).unwrap()).unwrap();
    socket.listen(0).unwrap();
    let _queued = std::os::unix::net::UnixStream::connect(&path).unwrap();
    let error = Session::connect(&path, &options()).await.unwrap_err();
    assert_eq!(
        told(&error).replace(directory.path().to_str().unwrap(), "DIR"),
        "cannot connect to DIR/full.sock: another client is connected and the queue is full"
    );
}

#[tokio::test(start_paused = true)]
async fn a_dropped_handshake_closes_the_connection() {
    let (ours, mut peer) = pair();
    drop(Session::negotiate(ours, &options()));
    peer.end().await;
    let (session, mut peer) = session().await;
    let clone = session.clone();
    drop(session);
    tokio::join!(async { clone.execute_raw("a", None).await.unwrap() }, async {
        peer.answer("a", "{}").await
    });
    drop(clone);
    peer.end().await;
}

/// What a peer that reads whole lines gets of two commands.
async fn lines(line_ends: LineEnds) -> String {
    let (ours, mut peer) = pair();
    let talk = async {
        peer.send(GREETING).await;
        let mut lines = String::new();
        for _ in 0..2 {
            let line = peer.line().await;
            peer.reply(&serde_json::from_str(&line).unwrap(), "{}").await;
            lines = line;
        }
        lines
    };
    let work = async {
        let options = Options { line_ends, ..options() };
        Session::negotiate(ours, &options).await?.execute_raw("a", None).await
    };
    tokio::select! {
        biased;
        lines = talk => lines,
        outcome = work => told(&outcome.expect_err("it goes on for as long as the peer talks")),
    }
}

#[tokio::test(start_paused = true)]
async fn a_peer_that_reads_lines_gets_lines() {
    assert_eq!(lines(LineEnds::Auto).await, r#"{"execute":"a"}"#);
    assert_eq!(lines(LineEnds::Always).await, r#"{"execute":"a"}"#);
    let silence =
        "QEMU greeted but did not answer `qmp_capabilities` within 2s: it is still starting, or stuck";
    assert_eq!(lines(LineEnds::Never).await, silence);
    // One that does not wait for them gets none.
    let (session, mut peer) = session().await;
    let talk = async {
        peer.answer("a", "1").await;
        assert_eq!(peer.unread(), "");
    };
    tokio::join!(async { session.execute_raw("a", None).await.unwrap() }, talk);
}
