//! Anything at all from the peer: never a panic, never a hang, never a wrong reply.

use proptest::prelude::*;
use qmp_client::{ClientError, Session};
use serde_json::json;

use crate::peer::{GREETING, SHORT, options, pair};

/// Something a peer might say.
fn saying() -> impl Strategy<Value = Vec<u8>> {
    let text = |text: &'static str| Just(text.as_bytes().to_vec());
    prop_oneof![
        (0..10_u64, 0..4_u64)
            .prop_map(|(value, id)| format!("{{\"return\": {value}, \"id\": {id}}}\r\n").into_bytes()),
        (0..4_u64).prop_map(|id| {
            format!("{{\"id\": {id}, \"error\": {{\"class\": \"GenericError\", \"desc\": \"x\"}}}}\r\n")
                .into_bytes()
        }),
        text("{\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}}\r\n"),
        text("{\"event\": \"STOP\", \"timestamp\": {\"seconds\": 1, \"microseconds\": 2}}\r\n"),
        text("{\"event\": \"SHUTDOWN\", \"data\": {\"guest\": true}}\r\n"),
        text("{\"return\": {}}\r\n"),
        text(GREETING),
        text("{}\n"),
        text("\r\n\r\n"),
        text("{\"return\": "),
        text("\0"),
        proptest::collection::vec(any::<u8>(), 0..20),
        Just(b"[".repeat(5000)),
    ]
}

proptest! {
    #[test]
    fn a_peer_may_say_anything(
        good_start in any::<bool>(),
        sayings in proptest::collection::vec(saying(), 0..20),
        cuts in proptest::collection::vec(1..50_usize, 1..5),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        runtime.block_on(async {
            let (ours, mut peer) = pair();
            let talk = async move {
                if good_start {
                    peer.send(GREETING).await;
                    peer.answer("qmp_capabilities", "{}").await;
                }
                let all = sayings.concat();
                let mut rest = &all[..];
                for cut in cuts.into_iter().cycle() {
                    let (now, later) = rest.split_at(cut.min(rest.len()));
                    if tokio::io::AsyncWriteExt::write_all(&mut peer.stream, now).await.is_err() {
                        break;
                    }
                    tokio::task::yield_now().await;
                    rest = later;
                    if rest.is_empty() {
                        break;
                    }
                }
                peer
            };
            let work = async {
                let session = Session::negotiate(ours, &options()).await?;
                let mut events = session.events();
                for _ in 0..4 {
                    let call = session.call_raw("a", Some(json!({"b": "c"}))).timeout(SHORT).send().await;
                    match call {
                        Err(ClientError::Closed { .. }) => break,
                        Ok(_) | Err(_) => while let Ok(Some(_)) = events.try_recv() {},
                    }
                }
                Ok::<_, ClientError>(())
            };
            let (outcome, _peer) = tokio::join!(tokio::time::timeout(100 * SHORT, work), talk);
            prop_assert!(outcome.is_ok(), "it hangs");
            Ok(())
        })?;
    }
}
