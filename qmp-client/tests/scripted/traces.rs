//! What a `tracing` subscriber is told, and that no secret is among it.

use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use qmp_client::ClientError;
use qmp_proto::QueryStatus;
use serde_json::json;
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::peer::session;

/// Writes down all it is told, down to the last field.
#[derive(Clone, Default)]
struct Listener {
    told: Arc<Mutex<String>>,
    spans: Arc<AtomicU64>,
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Listener {
    fn enabled(&self, metadata: &Metadata<'_>) -> bool {
        metadata.target().starts_with("qmp_client")
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let number = self.spans.fetch_add(1, Ordering::Relaxed) + 1;
        let mut told = self.told.lock().unwrap();
        write!(told, "span {number} {} {}", span.metadata().level(), span.metadata().name()).unwrap();
        span.record(&mut Fields(&mut told));
        told.push('\n');
        Id::from_u64(number)
    }

    fn record(&self, _span: &Id, values: &Record<'_>) {
        values.record(&mut Fields(&mut self.told.lock().unwrap()));
    }

    fn record_follows_from(&self, _span: &Id, _follows: &Id) {}

    fn event(&self, event: &Event<'_>) {
        let mut told = self.told.lock().unwrap();
        write!(told, "{}", event.metadata().level()).unwrap();
        event.record(&mut Fields(&mut told));
        told.push('\n');
    }

    fn enter(&self, span: &Id) {
        write!(self.told.lock().unwrap(), "in {}: ", span.into_u64()).unwrap();
    }

    fn exit(&self, _span: &Id) {}

    fn try_close(&self, span: Id) -> bool {
        writeln!(self.told.lock().unwrap(), "end of {}", span.into_u64()).unwrap();
        true
    }
}

#[tokio::test(start_paused = true)]
async fn commands_are_spans_and_secrets_stay_untold() {
    let listener = Listener::default();
    // While there is one subscriber alone, `tracing` asks the thread that comes first by a place in the code whether
    // anybody listens, and that may be another test's. With two of them it asks both.
    let _second = tracing::Dispatch::new(Listener::default());
    let guard = tracing::subscriber::set_default(listener.clone());
    let (session, mut peer) = session().await;
    let work = async {
        let arguments = json!({ "password": "hunter-argument" });
        session.execute_raw("set_password", Some(arguments.clone())).await.unwrap();
        session.execute_raw("set_password", Some(arguments.clone())).await.unwrap_err();
        let wrong = session.execute(QueryStatus {}).await.unwrap_err();
        assert!(matches!(wrong, ClientError::Decode { .. }));
        let late = session.call_raw("set_password", Some(arguments)).timeout(Duration::from_secs(1));
        late.send().await.unwrap_err();
    };
    let talk = async {
        let id = peer.command().await;
        peer.send("{\"event\": \"VNC_CONNECTED\", \"data\": {\"x\": \"hunter-event\"}}\r\n").await;
        peer.reply(&id, "\"hunter-reply\"").await;
        let id = peer.command().await;
        let error = r#"{"class": "GenericError", "desc": "bad password hunter-error"}"#;
        peer.refuse(&id, error).await;
        let id = peer.command().await;
        peer.reply(&id, "{\"status\": [\"hunter-odd\"]}").await;
        peer.command().await;
    };
    tokio::join!(work, talk);
    peer.send("hunter-garbage\r\n").await;
    session.closed().await;
    session.execute(QueryStatus {}).await.unwrap_err();
    drop(guard);
    let told = listener.told.lock().unwrap().clone();
    assert!(!told.contains("hunter"), "{told}");
    insta::assert_snapshot!(told, @r#"
    span 1 DEBUG command command="set_password" bytes=68
    TRACE message=event name="VNC_CONNECTED" bytes=21
    in 1: DEBUG message=reply bytes=14
    end of 1
    span 2 DEBUG command command="set_password" bytes=68
    in 2: DEBUG message=failed error="refused"
    end of 2
    span 3 DEBUG command command="query-status" bytes=25
    in 3: DEBUG message=reply bytes=26
    end of 3
    span 4 DEBUG command command="set_password" bytes=68
    WARN message=liveness responsive=false
    in 4: DEBUG message=failed error="timeout"
    end of 4
    INFO message=closed reason="garbage"
    span 5 DEBUG command command="query-status" bytes=25
    in 5: DEBUG message=failed error="closed"
    end of 5
    "#);
}
