//! Ten thousand clients that break off at random bytes, four at a time, at the monitors of one VM.

#[path = "../qemu/client/visitors.rs"]
#[expect(dead_code, reason = "a storm leaves at random")]
mod clients;

use qemuctl::Instance;

use crate::boot_sector::Guest;
use crate::support::{VERSIONS, qemu};

const VISITORS: usize = 10_000;

async fn storm(version: &str) {
    let dir = tempfile::tempdir().expect("a directory");
    let config = Guest::Deaf.config(&qemu(version, "qemu-system-x86_64"), dir.path(), "vm");
    let vm = Instance::start(&config).await.expect(version);
    clients::storm(vm.socket().expect("it listens"), VISITORS).await;
    let visitor = Instance::attach_name_in(dir.path(), "vm").await.expect(version);
    visitor.pause().await.expect(version);
    assert_eq!(vm.query_state().await.expect(version), visitor.state(), "{version}");
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_that_break_off_disturb_nobody_on_the_oldest_qemu() {
    storm(VERSIONS[0]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_that_break_off_disturb_nobody_on_the_middle_qemu() {
    storm(VERSIONS[1]).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn ten_thousand_that_break_off_disturb_nobody_on_the_newest_qemu() {
    storm(VERSIONS[2]).await;
}
