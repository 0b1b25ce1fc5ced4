//! How a connection ends, and that everybody learns it at once.

use std::io::{Read, Write};
use std::os::unix::net::UnixStream;

use qmp_client::{ClientError, CloseReason, EventsError, Liveness, Options, Session};
use tokio::io::AsyncWriteExt;

use crate::peer::{Peer, SHORT, negotiate, options, session, session_with};

/// What a waiter, a subscriber and a watcher are told when the peer does `act`.
async fn end_of(options: &Options, act: impl AsyncFnOnce(Peer) -> Option<Peer>) -> CloseReason {
    let (session, mut peer) = session_with(options).await;
    let mut events = session.events();
    let mut liveness = session.liveness();
    let act = async move {
        peer.command().await;
        peer.send("{\"event\": \"STOP\"}\r\n").await;
        act(peer).await
    };
    let begin = tokio::time::Instant::now();
    let (error, reason, _peer) = tokio::join!(session.execute_raw("a", None), session.closed(), act);
    assert!(begin.elapsed() < SHORT, "at once");
    let Err(ClientError::Closed { doing, source }) = error else { panic!("{error:?}") };
    assert_eq!((doing.as_ref(), &source), ("a", &reason));
    assert_eq!(events.recv().await.unwrap().event.name(), "STOP");
    assert_eq!(events.recv().await, Err(EventsError::Closed(reason.clone())));
    assert_eq!(*liveness.borrow_and_update(), Liveness::Closed(reason.clone()));
    reason
}

#[tokio::test(start_paused = true)]
async fn every_end_has_its_reason() {
    let plain = options();
    assert_eq!(end_of(&plain, async |_| None).await, CloseReason::Eof);
    let half = async |mut peer: Peer| {
        peer.send("{\"return\": {}, \"i").await;
        None
    };
    assert_eq!(end_of(&plain, half).await, CloseReason::Truncated { received: 17 });
    let garbage = async |mut peer: Peer| {
        peer.send("Segmentation fault\0\r\n").await;
        Some(peer)
    };
    insta::assert_snapshot!(
        end_of(&plain, garbage).await,
        @r#"the peer sent an invalid message (expected an object at byte 0): "Segmentation fault\0""#
    );
    let array = async |mut peer: Peer| {
        peer.send("[1]\r\n").await;
        Some(peer)
    };
    insta::assert_snapshot!(
        end_of(&plain, array).await,
        @r#"the peer sent an invalid message (expected an object at byte 0): "[1]""#
    );
}

#[tokio::test(start_paused = true)]
async fn a_qemu_that_was_told_to_quit_quits() {
    for reason in ["host-qmp-quit", "guest-shutdown"] {
        let (session, mut peer) = session().await;
        let data = format!("{{\"guest\": false, \"reason\": \"{reason}\"}}");
        peer.send(format!("{{\"event\": \"SHUTDOWN\", \"data\": {data}}}\r\n")).await;
        drop(peer);
        let expected = if reason == "host-qmp-quit" { CloseReason::Quit } else { CloseReason::Eof };
        assert_eq!(session.closed().await, expected);
    }
}

#[tokio::test]
async fn a_hundred_mib_line_ends_it_at_the_bound() {
    let bound = Options { max_message: 1 << 20, ..options() };
    let flood = async |mut peer: Peer| {
        let chunk = vec![b'x'; 1 << 20];
        for _ in 0..100 {
            if peer.stream.write_all(&chunk).await.is_err() {
                break;
            }
        }
        Some(peer)
    };
    assert_eq!(end_of(&bound, flood).await, CloseReason::TooLong { limit: 1 << 20 });
}

#[tokio::test(start_paused = true)]
async fn a_long_line_within_the_bound_arrives() {
    let (session, mut peer) = session().await;
    let text = "y".repeat(5 << 20);
    let reply = format!("\"{text}\"");
    let (value, _) = tokio::join!(session.execute_raw("a", None), peer.answer("a", &reply));
    assert_eq!(value.unwrap().as_str().map(str::len), Some(text.len()));
}

#[tokio::test]
async fn a_reset_connection_is_an_ended_one() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let peer = std::thread::spawn(move || {
        negotiate(&mut theirs);
        theirs.read_exact(&mut [0]).unwrap();
        // Closing with unread bytes resets a Unix socket.
    });
    let session = Session::from_unix_stream(ours, &options()).await.unwrap();
    let error = session.execute_raw("a", None).await.unwrap_err();
    peer.join().unwrap();
    assert!(matches!(error, ClientError::Closed { source: CloseReason::Eof, .. }), "{error:?}");
    let after = session.execute_raw("b", None).await.unwrap_err();
    assert!(matches!(after, ClientError::Closed { source: CloseReason::Eof, .. }), "{after:?}");
}

/// On one thread the command fails before the runtime has looked whether there is something to read.
#[tokio::test]
async fn last_words_are_heard_although_a_command_finds_the_peer_gone() {
    let (ours, mut theirs) = UnixStream::pair().unwrap();
    let peer = std::thread::spawn(move || {
        negotiate(&mut theirs);
        theirs
    });
    let session = Session::from_unix_stream(ours, &options()).await.unwrap();
    let mut events = session.events();
    let mut theirs = peer.join().unwrap();
    theirs.write_all(b"{\"event\": \"STOP\"}\r\n").unwrap();
    drop(theirs);
    let error = session.execute_raw("a", None).await.unwrap_err();
    assert!(matches!(error, ClientError::Closed { source: CloseReason::Eof, .. }), "{error:?}");
    assert_eq!(events.recv().await.unwrap().event.name(), "STOP");
    assert_eq!(events.recv().await, Err(EventsError::Closed(CloseReason::Eof)));
}

#[tokio::test(start_paused = true)]
async fn closing_tells_everybody() {
    let (session, mut peer) = session().await;
    let mut events = session.events();
    let clone = session.clone();
    let hang_up = async {
        peer.command().await;
        session.close();
        session.close();
    };
    let (error, ()) = tokio::join!(clone.execute_raw("a", None), hang_up);
    assert!(matches!(error, Err(ClientError::Closed { source: CloseReason::Local, .. })), "{error:?}");
    assert_eq!(events.recv().await, Err(EventsError::Closed(CloseReason::Local)));
    assert_eq!(session.closed().await, CloseReason::Local);
    peer.end().await;
}

#[test]
fn the_end_of_the_runtime_tells_everybody() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (session, _peer) = runtime.block_on(session());
    drop(runtime);
    let other = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let error = other.block_on(session.execute_raw("a", None)).unwrap_err();
    assert!(matches!(error, ClientError::Closed { source: CloseReason::Local, .. }), "{error:?}");
}
