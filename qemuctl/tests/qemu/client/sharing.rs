//! One monitor, several clients and commands: who is served, who waits, and what a silent QEMU means.

use std::time::{Duration, Instant};

use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use qmp_client::{ClientError, Liveness, Options, Session};
use qmp_proto::{QueryName, QueryStatus, RunState};
use serde_json::json;

use super::{LONG, Qemu, options};
use crate::support::VERSIONS;

/// A socket path in a private folder, as a QEMU argument.
fn listener(directory: &tempfile::TempDir) -> (std::path::PathBuf, String) {
    let path = directory.path().join("qmp.sock");
    let argument = format!("unix:{},server=on,wait=off", path.display());
    (path, argument)
}

#[tokio::test]
async fn a_second_client_is_told_that_another_holds_the_monitor() {
    for version in VERSIONS {
        let directory = tempfile::tempdir().expect("a temporary folder");
        let (path, argument) = listener(&directory);
        let mut qemu = Qemu::start(version, &["-machine", "none", "-qmp", &argument]);
        // The first monitor answers only once the second listens.
        let _launcher = qemu.session().await;
        let first = Session::connect(&path, &options()).await.expect("the first client is served");
        let hasty = Options { greeting: Duration::from_millis(500), ..options() };
        let error = Session::connect(&path, &hasty).await.expect_err("the second client is not served");
        assert_eq!(
            error.to_string(),
            "no greeting from QEMU within 500ms: another client is using the monitor, or QEMU is stopped"
        );
        assert_eq!(first.execute(QueryStatus {}).await.expect("unharmed").status, RunState::Prelaunch);
        first.close();
        drop(first);
        let second = Session::connect(&path, &options()).await.expect("the monitor is free again");
        second.execute(QueryStatus {}).await.expect("served");
    }
}

#[tokio::test]
async fn a_stopped_qemu_is_unresponsive_and_its_late_reply_is_discarded() {
    for version in VERSIONS {
        let mut qemu = Qemu::start(version, &["-machine", "none", "-name", "guest=late"]);
        let session = qemu.session().await;
        let mut liveness = session.liveness();
        let pid = Pid::from_raw(i32::try_from(qemu.child.id()).expect("a process number"));
        kill(pid, Signal::SIGSTOP).expect("QEMU can be stopped");

        let begin = Instant::now();
        let error = session.call(QueryStatus {}).timeout(Duration::from_secs(1)).send().await;
        let took = begin.elapsed();
        assert!(matches!(error, Err(ClientError::Timeout { .. })), "{error:?}");
        assert!(took >= Duration::from_secs(1), "{took:?}");
        assert_eq!(*liveness.borrow_and_update(), Liveness::Unresponsive);

        kill(pid, Signal::SIGCONT).expect("QEMU can be continued");
        let name = session.execute(QueryName {}).await.expect("the session goes on");
        assert_eq!(name.name.as_deref(), Some("late"), "not the reply to the command before");
        let responsive = liveness.wait_for(|liveness| *liveness == Liveness::Responsive);
        tokio::time::timeout(LONG, responsive).await.expect("a sign of life").expect("the session lives");
    }
}

#[tokio::test]
async fn many_commands_in_flight_all_find_their_callers() {
    for version in VERSIONS {
        let mut qemu = Qemu::start(version, &["-machine", "none"]);
        let session = qemu.session().await;
        assert!(session.has_oob());
        let tasks: Vec<_> = (0..32)
            .map(|number| {
                let session = session.clone();
                tokio::spawn(async move {
                    for round in 0..20 {
                        // An object of its own for each call, whose name QEMU gives back.
                        // With another letter than ASCII's the command has an id, else its turn tells its reply.
                        let letter = if round > 0 && (number + round) % 5 == 0 { "é" } else { "t" };
                        let id = format!("{letter}{number}r{round}");
                        let object = json!({ "qom-type": "iothread", "id": id });
                        if round % 4 == 1 {
                            // A caller who goes away once its command was sent.
                            let path = json!({ "path": "/nobody", "property": "type" });
                            let call = session.execute_raw("qom-get", Some(path));
                            let gone = tokio::time::timeout(Duration::ZERO, call).await;
                            assert!(gone.is_err(), "QEMU takes longer than no time");
                        }
                        if round == 0 {
                            session.execute_raw("object-add", Some(object)).await.expect("made");
                            let path = json!({ "path": format!("/objects/{id}"), "property": "type" });
                            let kind = session.execute_raw("qom-get", Some(path)).await.expect("there");
                            assert_eq!(kind, "iothread");
                        } else {
                            let path = json!({ "path": format!("/objects/{id}"), "property": "type" });
                            let error =
                                session.execute_raw("qom-get", Some(path)).await.expect_err("not there");
                            assert_eq!(
                                error.to_string(),
                                format!("qom-get: Device '/objects/{id}' not found (DeviceNotFound)")
                            );
                        }
                    }
                })
            })
            .collect();
        // An out-of-band command is answered among them.
        let yank = session.call_raw("query-yank", None).out_of_band().send().await;
        let monitor = json!([{ "type": "chardev", "id": "monitor" }]);
        assert_eq!(yank.expect("query-yank is taken out of band"), monitor);
        for task in tasks {
            task.await.expect("every caller gets its own reply");
        }
    }
}

#[tokio::test]
async fn a_large_command_has_the_time_that_qemu_needs_to_read_it() {
    let mut qemu = Qemu::start("10.0", &["-machine", "none"]);
    let session = qemu.session().await;
    let data = "x".repeat(300 << 10);
    let object = json!({ "qom-type": "secret", "id": "large", "data": data });
    session.execute_raw("object-add", Some(object)).await.expect("QEMU takes it");
}

#[tokio::test]
async fn a_schema_of_some_hundred_kilobytes_arrives_typed() {
    for version in VERSIONS {
        let mut qemu = Qemu::start(version, &["-machine", "none"]);
        let session = qemu.session().await;
        let schema = session.execute(qmp_proto::QueryQmpSchema {}).await.expect("decoded");
        assert!(schema.len() > 1000, "{}", schema.len());
    }
}
