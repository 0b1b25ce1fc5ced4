//! What a `tracing` subscriber is told of a VM, and that no secret is among it.

use std::fmt::{Debug, Write};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};

use qemuctl::{ExitReason, Instance, VmConfig, config::Secret};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::own_process::alone;
use crate::secrets::{PASSWORD, config};

/// Writes down all it is told, by us and by everybody else.
#[derive(Clone, Default)]
struct Listener {
    told: Arc<Mutex<String>>,
    spans: Arc<AtomicU64>,
}

struct Fields<'a>(&'a mut String);

impl Visit for Fields<'_> {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").expect("a string takes it");
    }
}

impl Listener {
    fn note(&self, kind: &str, metadata: &Metadata<'_>, name: &str, record: impl FnOnce(&mut Fields<'_>)) {
        let mut told = self.told.lock().expect("no panic");
        write!(told, "{} {kind} {}{name}", metadata.target(), metadata.level()).expect("a string takes it");
        record(&mut Fields(&mut told));
        told.push('\n');
    }
}

impl Subscriber for Listener {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }

    fn new_span(&self, span: &Attributes<'_>) -> Id {
        let name = format!(" {}", span.metadata().name());
        self.note("span", span.metadata(), &name, |fields| span.record(fields));
        Id::from_u64(self.spans.fetch_add(1, Ordering::Relaxed) + 1)
    }

    fn record(&self, _: &Id, values: &Record<'_>) {
        values.record(&mut Fields(&mut self.told.lock().expect("no panic")));
    }

    fn record_follows_from(&self, _: &Id, _: &Id) {}

    fn event(&self, event: &Event<'_>) {
        self.note("event", event.metadata(), "", |fields| event.record(fields));
    }

    fn enter(&self, _: &Id) {}

    fn exit(&self, _: &Id) {}
}

/// In a process of its own: which events interest anybody is remembered for the whole process, and a subscriber of one
/// thread alone misses those that another thread came by first.
#[test]
fn launches_states_and_ends_are_told_and_no_secret_is() {
    alone("traces::launches_states_and_ends_are_told_and_no_secret_is", || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
        runtime.block_on(are_told());
    });
}

async fn are_told() {
    let dir = tempfile::tempdir().expect("a directory");
    let right = VmConfig { secrets: vec![Secret::new("key", PASSWORD)], ..config(dir.path()) };
    let wrong = VmConfig { secrets: vec![Secret::new("key", "sesame, shut")], ..right.clone() };
    let listener = Listener::default();
    // While there is one subscriber alone, `tracing` asks the thread that comes first by a place in the code whether
    // anybody listens, and that may be the one that starts processes. With two of them it asks both.
    let _second = tracing::Dispatch::new(Listener::default());
    let guard = tracing::subscriber::set_default(listener.clone());
    let vm = Instance::start(&right).await.expect("unlocked");
    vm.pause().await.expect("paused");
    vm.human_monitor("sesame, no such command").await.expect("a monitor");
    let arguments = serde_json::json!({ "protocol": "vnc", "password": "sesame" });
    vm.execute_raw("set_password", Some(arguments)).await.expect_err("there is no display");
    assert_eq!(vm.kill().await.expect("killed"), ExitReason::Killed { signal: 9 });
    Instance::start(&wrong).await.expect_err("locked");
    drop(guard);
    let told = listener.told.lock().expect("no panic").clone();
    assert!(!told.contains("sesame"), "{told}");
    let ours = told.lines().filter_map(|line| line.strip_prefix("qemuctl "));
    let told = ours.fold(String::new(), |text, line| text + line + "\n");
    let told = regex::Regex::new("pid=[0-9]+").expect("a pattern").replace_all(&told, "pid=PID");
    insta::assert_snapshot!(told, @r#"
    span INFO launch vm="vm"
    event DEBUG message=spawned pid=PID
    span DEBUG phase phase=setting up the machine
    span DEBUG phase phase=connecting the console
    span DEBUG phase phase=starting the guest's CPUs
    event DEBUG message=state pid=PID state=running
    event DEBUG message=state pid=PID state=paused
    event INFO message=ended pid=PID reason=killed by SIGKILL
    event DEBUG message=state pid=PID state=crashed
    span INFO launch vm="vm"
    event DEBUG message=spawned pid=PID
    span DEBUG phase phase=setting up the machine
    event WARN message=launch failed vm="vm" phase=setting up the machine cause=the secret of an encrypted image is wrong
    "#);
}
