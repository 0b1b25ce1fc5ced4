//! A client that leaves has no effect on the one that comes after it.

use super::visitors::{Monitor, Random, ask, say_and_leave, storm};
use crate::support::VERSIONS;

/// Whatever the first client had said when it left, the second one gets its own answers, and no answer twice.
#[tokio::test]
async fn a_client_that_leaves_at_any_byte_leaves_nothing_to_the_next() {
    let words = [
        &br#"{"execute":"qmp_capabilities","arguments":{"enable":["oob"]},"id":0}"#[..],
        br#"{"execute":"query-qmp-schema"}"#,
        br#"{"execute":"device_del","arguments":{"id":"nothing"},"id":0}"#,
        br#"{"exec-oob":"query-yank"}"#,
    ]
    .concat();
    for version in VERSIONS {
        let monitor = Monitor::start(version).await;
        let mut random = Random::new(7);
        for end in 0..=words.len() {
            say_and_leave(&monitor.path(), &words[..end]).await;
            ask(&monitor.path(), &format!("after-{end}"), &mut random).await;
        }
    }
}

#[tokio::test]
async fn some_hundred_visitors_that_break_off_disturb_nobody() {
    for version in VERSIONS {
        storm(&Monitor::start(version).await.path(), 200).await;
    }
}
