//! A guest agent that is absent, stale, restarted or slow.

use std::time::Duration;

use qmp_client::agent::Agent;
use qmp_client::{ClientError, CloseReason};
use qmp_proto::qga::GuestShutdown;
use serde_json::{Value, json};
use tokio::time::Instant;

use crate::peer::{Peer, SHORT, options, pair, told};

pub fn agent() -> (Agent, Peer) {
    let (ours, peer) = pair();
    (Agent::over(ours, &options()), peer)
}

impl Peer {
    /// Answers a synchronisation behind some stale words.
    pub async fn synchronise(&mut self, stale: &[u8]) {
        assert_eq!(self.command().await, Value::from("mark"));
        let command = self.command().await;
        assert_eq!(command["execute"], "guest-sync-delimited");
        self.send(stale).await;
        self.send(b"\xff").await;
        self.send(format!("{{\"return\": {}}}\n", command["arguments"]["id"])).await;
    }
}

#[tokio::test(start_paused = true)]
async fn stale_words_are_thrown_away() {
    let (agent, mut peer) = agent();
    peer.send("{\"return\": \"stale\"}\n{\"error\": {\"desc\": \"stale\"}}\n").await;
    let talk = async {
        peer.synchronise(b"\xff{\"return\": 5}\nhalf a li\0ne {\"ret").await;
        let command = peer.command().await;
        assert_eq!(command, json!({"execute": "a", "arguments": {"b": 1}}), "no id for an agent");
        peer.reply(&command, "7").await;
        peer.answer("b", "8").await;
    };
    let work = async {
        assert_eq!(agent.execute_raw("a", Some(json!({"b": 1})), None).await.unwrap(), 7);
        assert_eq!(agent.execute_raw("b", None, None).await.unwrap(), 8);
    };
    tokio::join!(work, talk);
}

#[tokio::test(start_paused = true)]
async fn no_agent_is_an_error_of_its_own() {
    let (agent, _peer) = agent();
    let begin = Instant::now();
    let error = agent.execute_raw("guest-info", None, None).await.unwrap_err();
    assert_eq!(begin.elapsed(), 10 * SHORT);
    assert_eq!(
        told(&error),
        "guest-info: the guest agent did not answer within 10s; check that it is installed and running, and that the VM has its channel"
    );
    let error = agent.wait_ready(Duration::from_secs(60)).await.unwrap_err();
    assert!(matches!(error, ClientError::NoAgent { after, .. } if after.as_secs() == 60), "{error:?}");
    assert_eq!(begin.elapsed(), 70 * SHORT);
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_starts_late_is_found() {
    let (agent, mut peer) = agent();
    let talk = async {
        // It was not there for the first three tries, whose words are lost.
        for _ in 0..3 {
            peer.command().await;
            peer.command().await;
        }
        peer.synchronise(b"").await;
        peer.answer("guest-ping", "{}").await;
    };
    let (ready, ()) = tokio::join!(agent.wait_ready(Duration::from_secs(60)), talk);
    ready.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_late_reply_is_not_taken_for_the_next() {
    let (agent, mut peer) = agent();
    let work = async {
        let error = agent.execute_raw("slow", None, Some(SHORT)).await.unwrap_err();
        assert!(matches!(error, ClientError::Timeout { sent: true, .. }), "{error:?}");
        agent.execute_raw("quick", None, None).await.unwrap()
    };
    let talk = async {
        peer.synchronise(b"").await;
        peer.command().await;
        peer.synchronise(b"{\"return\": \"slow\"}\n").await;
        peer.answer("quick", "\"quick\"").await;
    };
    let (quick, ()) = tokio::join!(work, talk);
    assert_eq!(quick, "quick");
}

#[tokio::test(start_paused = true)]
async fn a_command_without_an_answer() {
    let (agent, mut peer) = agent();
    let talk = async {
        peer.synchronise(b"").await;
        peer.command().await;
        peer.synchronise(b"").await;
        peer.command().await;
        peer.send("{\"error\": {\"class\": \"GenericError\", \"desc\": \"not allowed\"}}\n").await;
        peer.command().await;
    };
    let work = async {
        agent.execute_unanswered(GuestShutdown { mode: None }, SHORT).await.unwrap();
        let error = agent.execute_unanswered(GuestShutdown { mode: None }, SHORT).await.unwrap_err();
        assert_eq!(told(&error), "guest-shutdown: not allowed (GenericError)");
        agent.execute_unanswered(GuestShutdown { mode: None }, SHORT).await.unwrap();
    };
    tokio::join!(work, talk);
}

#[tokio::test(start_paused = true)]
async fn frozen_file_systems_are_always_thawed() {
    let (agent, mut peer) = agent();
    // The guard is dropped.
    let talk = async {
        peer.synchronise(b"").await;
        peer.answer("guest-fsfreeze-freeze", "2").await;
        peer.answer("guest-fsfreeze-thaw", "2").await;
    };
    let work = async {
        let frozen = agent.freeze(None).await.unwrap();
        assert_eq!(frozen.file_systems(), 2);
    };
    tokio::join!(work, talk);
    // Thawed by hand.
    let talk = async {
        let command = peer.answer("guest-fsfreeze-freeze-list", "1").await;
        assert_eq!(command["arguments"], json!({"mountpoints": ["/"]}));
        peer.answer("guest-fsfreeze-thaw", "1").await;
        peer.answer("guest-ping", "{}").await;
    };
    let work = async {
        let frozen = agent.freeze(Some(&["/"])).await.unwrap();
        assert_eq!(frozen.thaw().await.unwrap(), 1);
        agent.wait_ready(SHORT).await.unwrap();
    };
    tokio::join!(work, talk);
    // The future is dropped while the agent freezes, and the last handle with it.
    let gave_up = tokio::time::timeout(SHORT, agent.freeze(None)).await;
    assert!(gave_up.is_err());
    drop(agent);
    peer.command().await;
    peer.synchronise(b"{\"return\": 2}\n").await;
    peer.answer("guest-fsfreeze-thaw", "2").await;
    peer.end().await;
}

#[tokio::test(start_paused = true)]
async fn a_thaw_that_got_lost_is_said_again() {
    let (agent, mut peer) = agent();
    let talk = async {
        peer.synchronise(b"").await;
        peer.answer("guest-fsfreeze-freeze", "2").await;
        // The agent is restarted and has lost the thaw; the next caller's wait shows it.
        assert_eq!(peer.command().await["execute"], "guest-fsfreeze-thaw");
        peer.synchronise(b"").await;
        peer.answer("guest-fsfreeze-thaw", "2").await;
    };
    let work = async {
        drop(agent.freeze(None).await.unwrap());
        let error = agent.execute_raw("guest-ping", None, Some(SHORT)).await.unwrap_err();
        assert!(matches!(error, ClientError::Timeout { sent: false, .. }), "{error:?}");
    };
    tokio::join!(work, talk);
}

/// Plays a guest's files and one program.
pub async fn serve(mut peer: Peer, count: usize, mut reply: impl FnMut(&str, &Value) -> String) {
    peer.synchronise(b"").await;
    for _ in 0..count {
        let command = peer.command().await;
        let answer = reply(command["execute"].as_str().unwrap(), &command["arguments"]);
        peer.send(format!("{answer}\n")).await;
    }
}

#[tokio::test(start_paused = true)]
async fn files_travel_in_pieces() {
    let (agent, peer) = agent();
    let mut written = String::new();
    let talk = serve(peer, 7, |name, arguments| match name {
        "guest-file-open" => "{\"return\": 1000}".into(),
        "guest-file-write" => {
            written.push_str(arguments["buf-b64"].as_str().unwrap());
            written.push(' ');
            "{\"return\": {\"count\": 3, \"eof\": false}}".into()
        }
        "guest-file-close" => "{\"return\": {}}".into(),
        "guest-file-read" => "{\"return\": {\"count\": 3, \"buf-b64\": \"YWJj\", \"eof\": true}}".into(),
        other => panic!("{other} {arguments}"),
    });
    let work = async {
        agent.write_file("/a", b"abcdef").await.unwrap();
        agent.read_file("/a").await.unwrap()
    };
    let (read, ()) = tokio::join!(work, talk);
    assert_eq!(read, b"abc");
    assert_eq!(written, "YWJjZGVm ZGVm ");
}

#[tokio::test(start_paused = true)]
async fn an_agent_that_lies_is_refused() {
    let (agent, peer) = agent();
    let talk = serve(peer, 6, |name, _| match name {
        "guest-file-open" => "{\"return\": 1000}".into(),
        "guest-file-write" => "{\"return\": {\"count\": 30, \"eof\": false}}".into(),
        "guest-file-close" => "{\"return\": {}}".into(),
        _ => "{\"return\": {\"count\": 3, \"buf-b64\": \"?\", \"eof\": true}}".into(),
    });
    let work = async {
        let write = agent.write_file("/a", b"abc").await.unwrap_err();
        let read = agent.read_file("/a").await.unwrap_err();
        [told(&write), told(&read)]
    };
    let (errors, ()) = tokio::join!(work, talk);
    insta::assert_snapshot!(errors.join("\n"), @r"
    guest-file-write: cannot decode the reply at count: 30 bytes written
    guest-file-read: cannot decode the reply at buf-b64: Invalid symbol 63, offset 0.
    ");
}

#[tokio::test(start_paused = true)]
async fn the_end_of_the_channel_is_the_end_of_the_agent() {
    let (agent, peer) = agent();
    drop(peer);
    let error = agent.execute_raw("guest-ping", None, None).await.unwrap_err();
    assert!(matches!(error, ClientError::Closed { source: CloseReason::Eof, .. }), "{error:?}");
    assert_eq!(agent.closed().await, CloseReason::Eof);
    assert!(format!("{agent:?}").contains("Closed(Eof)"));
}
