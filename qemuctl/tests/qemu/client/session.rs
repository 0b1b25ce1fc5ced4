//! Commands, events and the end of a session.

use qmp_client::{ClientError, CloseReason, EventsError, Session};
use qmp_proto::{Cont, ErrorClass, QueryStatus, Quit, RunState, Stop, event};
use serde_json::json;

use super::{LONG, Qemu, options};
use crate::support::VERSIONS;

#[tokio::test]
async fn a_session_from_greeting_to_quit() {
    for version in VERSIONS {
        let mut qemu = Qemu::start(version, &["-machine", "none"]);
        let session = qemu.session().await;
        assert!(version.starts_with(&session.greeting().version.qemu.major.to_string()));
        assert!(session.has_oob());

        let mut events = session.events();
        let mut resumed = session.wait_for::<event::Resume>();
        session.execute(Cont {}).await.unwrap();
        resumed.wait_timeout(LONG).await.unwrap();
        assert_eq!(session.execute(QueryStatus {}).await.unwrap().status, RunState::Running);
        session.execute(Stop {}).await.unwrap();
        let status = session.execute_raw("query-status", None).await.unwrap();
        assert_eq!(status["status"], "paused");

        let refused = session.execute_raw("no-such-command", Some(json!({}))).await;
        let Err(ClientError::Refused { command, class, desc }) = refused else { panic!("{refused:?}") };
        assert_eq!(
            (command.as_ref(), class, desc.as_str()),
            (
                "no-such-command",
                ErrorClass::CommandNotFound,
                "The command no-such-command has not been found"
            )
        );

        session.execute(Quit {}).await.unwrap();
        assert_eq!(session.closed().await, CloseReason::Quit);
        let mut names = Vec::new();
        let end = loop {
            match events.recv().await {
                Ok(event) => names.push(event.event.name().to_owned()),
                Err(end) => break end,
            }
        };
        assert_eq!(names, ["RESUME", "STOP", "SHUTDOWN"]);
        assert_eq!(end, EventsError::Closed(CloseReason::Quit));
        let after = session.execute(QueryStatus {}).await.unwrap_err();
        assert_eq!(after.to_string(), "query-status: the connection has ended");
        assert!(qemu.child.wait().unwrap().success());
    }
}

#[tokio::test]
async fn a_session_over_tcp() {
    for version in VERSIONS {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.expect("a free port");
        let argument = format!("tcp:{}", listener.local_addr().expect("it is bound"));
        let _qemu = Qemu::start(version, &["-machine", "none", "-qmp", &argument]);
        let (stream, _) =
            tokio::time::timeout(LONG, listener.accept()).await.expect("in time").expect("QEMU calls");
        let session = Session::negotiate(stream, &options()).await.expect("it negotiates");
        assert!(!session.passes_descriptors());
        let (status, names) =
            tokio::join!(session.execute(QueryStatus {}), session.execute_raw("query-name", None));
        assert_eq!(
            (status.expect("answered").status, names.expect("answered")),
            (RunState::Prelaunch, json!({}))
        );
        let refused = session.execute_raw("no-such-command", None).await.expect_err("unknown");
        assert!(
            matches!(refused, ClientError::Refused { class: ErrorClass::CommandNotFound, .. }),
            "{refused:?}"
        );
        let null = std::fs::File::open("/dev/null").expect("it exists");
        let error = session.getfd(&null).await.expect_err("TCP carries none");
        assert!(matches!(error, ClientError::NoDescriptors { .. }), "{error:?}");
    }
}
