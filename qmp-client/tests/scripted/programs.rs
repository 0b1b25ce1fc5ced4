//! Programs in the guest, with an agent that says what the test wants.

use std::time::Duration;

use qmp_client::ClientError;
use qmp_client::agent::{Exec, GuestSignal, Output};
use serde_json::{Value, json};
use tokio::time::timeout;

use crate::agent::{agent, serve};
use crate::peer::{Peer, SHORT, told};

/// What the shell in the guest got: its own token, and what follows the token.
fn shell(arguments: &Value) -> (String, Vec<String>) {
    assert_eq!(arguments["path"], "/bin/sh");
    let mut args = arguments["arg"].as_array().unwrap().iter().map(|arg| arg.as_str().unwrap().to_owned());
    let token = args.nth(3).unwrap();
    (token, args.collect())
}

impl Peer {
    /// Answers `guest-exec` and says what was to be run.
    async fn start(&mut self, pid: i64) -> Value {
        self.answer("guest-exec", &format!("{{\"pid\": {pid}}}")).await["arguments"].clone()
    }

    /// Answers a kill of program 1, whose own number is 9.
    async fn is_killed(&mut self) {
        let kill = self.start(9).await;
        assert_eq!(shell(&kill), ("KILL".into(), vec!["1".into()]));
    }

    async fn status(&mut self, status: Value) {
        self.answer("guest-exec-status", &status.to_string()).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_program_is_asked_after_until_it_ends() {
    let (agent, mut peer) = agent();
    let talk = async {
        peer.synchronise(b"").await;
        let mut start = peer.start(42).await;
        let (_, args) = shell(&start);
        assert_eq!(args, ["/tmp", "", "", "sh", "-c", "x"]);
        start["arg"] = Value::Null;
        assert_eq!(
            start,
            json!({"path": "/bin/sh", "arg": null, "capture-output": true, "env": ["A=b", "C=d"], "input-data": "aW4="})
        );
        for _ in 0..3 {
            peer.status(json!({"exited": false})).await;
        }
        peer.status(json!({"exited": true, "exitcode": 42, "out-data": "b3V0", "err-truncated": true})).await;
    };
    let exec = Exec { env: Some(vec!["A=b".into(), "C=c".into()]), ..Exec::with_args("sh", ["-c", "x"]) };
    let exec = exec.env("C", "d").current_dir("/tmp").stdin("in");
    assert_eq!(format!("{exec:?}"), "Exec { program: \"sh\", .. }");
    let (output, ()) = tokio::join!(agent.exec(&exec, SHORT), talk);
    let output = output.unwrap();
    assert_eq!((output.code, output.stdout.as_slice(), output.truncated), (Some(42), &b"out"[..], true));
}

#[tokio::test(start_paused = true)]
async fn what_a_program_says_is_bounded() {
    let (agent, mut peer) = agent();
    let talk = async {
        peer.synchronise(b"").await;
        peer.start(1).await;
        peer.status(json!({"exited": true, "exitcode": 0, "out-data": "YWJjZGVm", "err-data": "YWJj"})).await;
    };
    let exec = Exec::new("a").output_limit(3);
    let (output, ()) = tokio::join!(agent.exec(&exec, SHORT), talk);
    let output = output.unwrap();
    assert_eq!((output.stdout, output.stderr, output.truncated), (b"abc".to_vec(), b"abc".to_vec(), true));
}

#[tokio::test(start_paused = true)]
async fn a_program_that_cannot_be_started() {
    let reasons = ["run:No such file or directory", "dir:Permission denied", "files:mkdir: full", "odd"];
    let mut errors = Vec::new();
    for reason in reasons {
        let (agent, mut peer) = agent();
        let talk = async {
            peer.synchronise(b"").await;
            let (token, _) = shell(&peer.start(1).await);
            let text = base64_of(&format!("{token}{reason}"));
            peer.status(json!({"exited": true, "exitcode": 125, "err-data": text})).await;
        };
        let exec = Exec::new("prog").current_dir("/secret");
        let (output, ()) = tokio::join!(agent.exec(&exec, SHORT), talk);
        errors.push(told(&output.unwrap_err()));
    }
    insta::assert_snapshot!(errors.join("\n"), @r"
    guest-exec: Failed to execute child process “prog” (No such file or directory) (GenericError)
    guest-exec: Failed to change to directory “/secret” (Permission denied) (GenericError)
    guest-exec: Failed to make files for output in /tmp: mkdir: full (GenericError)
    guest-exec: odd (GenericError)
    ");
}

fn base64_of(text: &str) -> String {
    use base64::Engine;
    base64::engine::general_purpose::STANDARD.encode(text)
}

#[tokio::test(start_paused = true)]
async fn a_guest_without_a_shell_runs_what_needs_none() {
    let (agent, mut peer) = agent();
    let talk = async {
        peer.synchronise(b"").await;
        for _ in 0..2 {
            let command = peer.command().await;
            peer.refuse(&command, r#"{"class": "GenericError", "desc": "no such file"}"#).await;
        }
        let start = peer.start(1).await;
        assert_eq!(start, json!({"path": "cmd.exe", "arg": ["/c"], "capture-output": true}));
        peer.status(json!({"exited": true, "exitcode": 0, "out-data": "YQ=="})).await;
    };
    let work = async {
        let refused = agent.spawn(&Exec::new("a").current_dir("/")).await.unwrap_err();
        assert!(matches!(refused, ClientError::Unsendable { .. }), "{refused:?}");
        let mut process = agent.spawn(&Exec::new("cmd.exe").arg("/c")).await.unwrap();
        assert_eq!(process.next().await.unwrap(), None);
        process.wait().await.unwrap().stdout
    };
    let (output, ()) = tokio::join!(work, talk);
    assert_eq!(output, b"a");
}

#[tokio::test(start_paused = true)]
async fn a_program_that_does_not_end_in_time_is_killed() {
    let (agent, mut peer) = agent();
    let talk = async {
        peer.synchronise(b"").await;
        peer.start(1).await;
        let killed = loop {
            let command = peer.command().await;
            if command["execute"] == "guest-exec" {
                break command;
            }
            peer.reply(&command, "{\"exited\": false}").await;
        };
        assert_eq!(shell(&killed["arguments"]).0, "KILL");
        peer.reply(&killed, "{\"pid\": 9}").await;
        peer.status(json!({"exited": true, "exitcode": 0})).await;
        peer.status(json!({"exited": true, "signal": 9})).await;
    };
    let sleep = Exec::new("sleep");
    let (output, ()) = tokio::join!(agent.exec(&sleep, SHORT), talk);
    assert!(matches!(output, Err(ClientError::Timeout { after: SHORT, .. })), "{output:?}");
}

#[tokio::test(start_paused = true)]
async fn a_program_that_nobody_waits_for_is_killed_even_while_it_starts() {
    let (agent, mut peer) = agent();
    let exec = Exec::new("sleep");
    tokio::select! {
        _ = agent.exec(&exec, SHORT) => panic!("it is not answered"),
        () = peer.synchronise(b"") => {}
    }
    // Only now is the start answered.
    peer.start(1).await;
    peer.status(json!({"exited": false})).await;
    peer.is_killed().await;
    peer.status(json!({"exited": true, "exitcode": 0})).await;
}

#[tokio::test(start_paused = true)]
async fn what_an_agent_does_not_know_is_not_killed() {
    let (agent, mut peer) = agent();
    let talk = async {
        peer.synchronise(b"").await;
        peer.start(1).await;
        // The guest was restarted meanwhile: the number may belong to another program.
        let command = peer.command().await;
        peer.refuse(&command, r#"{"class": "GenericError", "desc": "PID 1 does not exist"}"#).await;
        peer.answer("guest-ping", "{}").await;
    };
    let work = async {
        let mut process = agent.spawn_collected(&Exec::new("work")).await.unwrap();
        let error = process.wait().await.unwrap_err();
        assert!(matches!(error, ClientError::Refused { .. }), "{error:?}");
        assert!(!process.signal(GuestSignal::Term).await.unwrap(), "it is over");
        drop(process);
        agent.wait_ready(SHORT).await.unwrap();
    };
    tokio::join!(work, talk);
}

/// An agent with one program, whose standard output comes in these pieces.
fn streams(pieces: &'static [&'static str]) -> impl FnMut(&str, &Value) -> String {
    let mut pieces = pieces.iter().copied();
    let mut files = 0;
    move |name, arguments| {
        let reply = match name {
            "guest-exec" => json!({"pid": 1}),
            "guest-exec-status" => json!({"exited": pieces.len() == 0, "exitcode": 3}),
            "guest-file-open" => {
                files += 1;
                json!(files)
            }
            // The first file that is opened is that of standard error.
            "guest-file-read" if arguments["handle"] == 1 => json!({"count": 0, "buf-b64": "", "eof": true}),
            "guest-file-read" => json!({"count": 1, "buf-b64": pieces.next().unwrap_or(""), "eof": true}),
            _ => json!({}),
        };
        json!({ "return": reply }).to_string()
    }
}

#[tokio::test(start_paused = true)]
async fn a_dropped_future_loses_no_output() {
    let (agent, peer) = agent();
    let talk = serve(peer, usize::MAX, streams(&["YQ==", "", "", "Yg==", "", "Yw==", ""]));
    let work = async {
        let mut process = agent.spawn(&Exec::new("work")).await.unwrap();
        let mut text = Vec::new();
        loop {
            // Far shorter than an answer takes.
            match timeout(Duration::from_nanos(1), process.next()).await {
                Err(_) => {}
                Ok(Ok(Some(Output::Stdout(piece)))) => text.extend(piece),
                Ok(Ok(None)) => break,
                Ok(other) => panic!("{other:?}"),
            }
        }
        (text, process.wait().await.unwrap().code)
    };
    tokio::select! {
        ended = work => assert_eq!(ended, (b"abc".to_vec(), Some(3))),
        () = talk => panic!("the agent serves for ever"),
    }
}
