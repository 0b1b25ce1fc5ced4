//! A session with a QEMU that is restarted on the same socket.

use std::time::Duration;

use qmp_client::reconnect::{Backoff, News, Reconnecting};
use qmp_client::{ClientError, CloseReason};
use qmp_proto::{Cont, QueryStatus, Quit, RunState};
use tokio::time::timeout;

use super::{LONG, Qemu, options};
use crate::support::VERSIONS;

#[tokio::test]
async fn a_qemu_that_is_restarted_is_found_again() {
    for version in VERSIONS {
        let directory = tempfile::tempdir().expect("a temporary folder");
        let path = directory.path().join("qmp.sock");
        let argument = format!("unix:{},server=on,wait=off", path.display());
        let start = async || {
            let mut qemu = Qemu::start(version, &["-machine", "none", "-qmp", &argument]);
            // It answers here only once it listens there.
            let launcher = qemu.session().await;
            (qemu, launcher)
        };
        let (mut first, _launcher) = start().await;
        let backoff = Backoff { first: Duration::from_millis(10), ..Backoff::default() };
        let session = Reconnecting::connect(&path, &options(), backoff).await.expect("connected");
        let mut events = session.events();
        session.execute(Cont {}).await.expect("it runs");
        assert_eq!(name(events.next().await), "RESUME");

        // Killed while a command is under way: that fails, and is not sent to the next QEMU.
        first.stop();
        let (lost, ()) = tokio::join!(session.execute(Cont {}), async { first.kill() });
        let lost = lost.expect_err("QEMU died");
        assert!(matches!(&lost, ClientError::Closed { source: CloseReason::Eof, .. }), "{lost:?}");
        let (early, (mut second, _launcher)) = tokio::join!(session.execute(QueryStatus {}), start());
        assert_eq!(early.expect("it waited for the next QEMU").status, RunState::Prelaunch);
        let gap = timeout(LONG, events.next()).await.expect("in time");
        assert_eq!(gap, Some(News::Gap(CloseReason::Eof)));
        session.execute(Cont {}).await.expect("it runs");
        assert_eq!(name(events.next().await), "RESUME");

        session.execute(Quit {}).await.expect("it quits");
        assert_eq!(name(events.next().await), "SHUTDOWN");
        second.child.wait().expect("it has ended");
        let (third, _launcher) = start().await;
        let gap = timeout(LONG, events.next()).await.expect("in time");
        assert_eq!(gap, Some(News::Gap(CloseReason::Quit)));
        session.close();
        assert_eq!(timeout(LONG, events.next()).await.expect("in time"), None);
        drop(third);
    }
}

fn name(news: Option<News>) -> String {
    match news {
        Some(News::Event(event)) => event.event.name().to_owned(),
        other => panic!("{other:?}"),
    }
}
