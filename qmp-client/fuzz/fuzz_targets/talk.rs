//! A peer that says whatever the fuzzer wants, to a monitor's session or a guest agent's.
//!
//! The first byte chooses the kind of session, whether the peer negotiates properly, and into how large pieces its
//! words are cut. The clock is paused, so a deadline costs no time, and a hang is one that no deadline ends.

#![no_main]

use std::time::Duration;

use libfuzzer_sys::fuzz_target;
use qmp_client::agent::Agent;
use qmp_client::{ClientError, Options, Session};
use tokio::io::{AsyncReadExt, AsyncWriteExt, DuplexStream};
use tokio::runtime::Runtime;

const GREETING: &[u8] = b"{\"QMP\": {\"version\": {\"qemu\": {\"micro\": 0, \"minor\": 0, \"major\": 9}, \"package\": \"\"}, \"capabilities\": [\"oob\"]}}\r\n";
const SECOND: Duration = Duration::from_secs(1);

thread_local! {
    static RUNTIME: Runtime = tokio::runtime::Builder::new_current_thread()
        .enable_all()
        .start_paused(true)
        .build()
        .expect("a runtime");
}

/// Greets, and answers the one command that a client sends then.
async fn greet(stream: &mut DuplexStream) {
    let mut command = Vec::new();
    let _ = stream.write_all(GREETING).await;
    while !command.ends_with(b"}") && stream.read_buf(&mut command).await.is_ok_and(|count| count > 0) {
        command.truncate(command.trim_ascii_end().len());
    }
    let id = command.split(|byte| *byte == b':').next_back().unwrap_or_default();
    let _ = stream.write_all(&[b"{\"return\": {}, \"id\": ", id, b"\r\n"].concat()).await;
}

async fn talk(mut stream: DuplexStream, words: &[u8], piece: usize, greets: bool) -> DuplexStream {
    if greets {
        greet(&mut stream).await;
    }
    for part in words.chunks(piece) {
        // A client that has given up does not read on.
        if tokio::time::timeout(SECOND, stream.write_all(part)).await.is_err() {
            break;
        }
        tokio::task::yield_now().await;
    }
    stream
}

async fn monitor(stream: DuplexStream, options: &Options) -> Result<(), ClientError> {
    let session = Session::negotiate(stream, options).await?;
    let mut events = session.events();
    let mut liveness = session.liveness();
    for _ in 0..3 {
        let (first, second) = tokio::join!(
            session.execute_raw("a", None),
            session.call_raw("b", None).out_of_band().timeout(SECOND).send()
        );
        let _ = (first, second, liveness.borrow_and_update().clone());
        while let Ok(Some(_)) = events.try_recv() {}
    }
    session.close();
    session.closed().await;
    while events.recv().await.is_ok() {}
    Ok(())
}

async fn agent(stream: DuplexStream, options: &Options) -> Result<(), ClientError> {
    let agent = Agent::over(stream, options);
    for _ in 0..3 {
        let _ = agent.execute_raw("a", None, None).await;
        let _ = agent.read_file("b").await;
        let _ = agent.freeze(None).await;
    }
    Ok(())
}

fuzz_target!(|input: &[u8]| {
    let Some((&kind, words)) = input.split_first() else { return };
    let options = Options {
        greeting: SECOND,
        ready: SECOND,
        command: SECOND,
        max_message: 4096,
        event_backlog: 8,
        ..Options::default()
    };
    let piece = 1 + usize::from(kind >> 2);
    RUNTIME.with(|runtime| {
        runtime.block_on(async {
            let (ours, theirs) = tokio::io::duplex(1 << 16);
            let greets = kind & 3 == 0;
            let work = async {
                let outcome =
                    if kind & 2 == 0 { monitor(ours, &options).await } else { agent(ours, &options).await };
                if let Err(error) = outcome {
                    assert!(!error.to_string().is_empty());
                }
            };
            let both = async { tokio::join!(work, talk(theirs, words, piece, greets)) };
            tokio::time::timeout(1000 * SECOND, both).await.expect("it hangs");
        });
    });
});
