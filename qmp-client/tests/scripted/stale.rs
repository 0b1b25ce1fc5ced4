//! What the client before us did not wait for: it reaches nobody.

use proptest::prelude::*;
use qmp_client::Session;

use crate::peer::{GREETING, options, pair};

/// A message that belongs to another client.
fn stale() -> impl Strategy<Value = String> {
    let id = prop_oneof![
        Just(String::new()),
        (0..4_u64).prop_map(|id| format!(", \"id\": {id}")),
        any::<u32>().prop_map(|id| format!(", \"id\": {id}")),
        "[a-z0-9-]{1,8}".prop_map(|id| format!(", \"id\": \"{id}\"")),
        Just(", \"id\": null".to_owned()),
    ];
    let what = prop_oneof![
        Just("\"return\": {}".to_owned()),
        Just("\"return\": [{\"id\": 0}]".to_owned()),
        Just("\"return\": {\"status\": \"running\"}".to_owned()),
        Just("\"error\": {\"class\": \"DeviceNotFound\", \"desc\": \"not yours\"}".to_owned()),
        Just("\"error\": {\"class\": \"GenericError\", \"desc\": \"JSON parse error\"}".to_owned()),
        Just("\"event\": \"STOP\", \"timestamp\": {\"seconds\": 1, \"microseconds\": 2}".to_owned()),
    ];
    (what, id).prop_map(|(what, id)| format!("{{{what}{id}}}\r\n"))
}

fn some() -> impl Strategy<Value = String> {
    proptest::collection::vec(stale(), 0..6).prop_map(|lines| lines.concat())
}

proptest! {
    #[test]
    fn what_another_client_left_reaches_nobody(
        cut in 0..40_usize,
        before in some(),
        behind_the_greeting in some(),
        before_the_reply in some(),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().start_paused(true).build()?;
        runtime.block_on(async {
            let (ours, mut peer) = pair();
            let talk = async {
                // The other client may have got the beginning of a reply.
                let cut = if before.len() > cut { cut } else { 0 };
                peer.send(format!("{}{GREETING}{behind_the_greeting}", &before[cut..])).await;
                let negotiation = peer.command().await;
                assert_eq!(negotiation["execute"], "qmp_capabilities");
                peer.send(&before_the_reply).await;
                peer.reply(&negotiation, "{}").await;
                for number in 0..4 {
                    let command = peer.command().await;
                    peer.reply(&command, &number.to_string()).await;
                }
            };
            let work = async {
                let session = Session::negotiate(ours, &options()).await.expect("it negotiates");
                for number in 0..4 {
                    let name = if number % 2 == 0 { "plain" } else { "with é, so with an id" };
                    assert_eq!(session.execute_raw(name, None).await.expect("answered"), number);
                }
            };
            tokio::join!(work, talk);
        });
    }
}
