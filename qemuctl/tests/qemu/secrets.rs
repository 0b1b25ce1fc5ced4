//! Secrets reach QEMU, and nobody else.

use std::path::Path;
use std::process::Command;
use std::sync::Arc;

use qemuctl::{Error, Instance, LaunchOptions, SecretSource, VmConfig, config::Secret, error::Cause};

use crate::boot_sector::{Guest, leftovers};
use crate::own_process::{command, is_role};
use crate::support::qemu;

pub const PASSWORD: &str = "open sesame, \"please\"";

/// A VM with a second, encrypted disk whose key is the secret `key`.
pub fn config(dir: &Path) -> VmConfig {
    let image = dir.join("images").join("locked.luks");
    let mut config = Guest::Deaf.config(&qemu("10.0", "qemu-system-x86_64"), dir, "vm");
    let key = dir.join("images").join("key");
    std::fs::write(&key, PASSWORD).expect("written");
    let made = Command::new(qemu("10.0", "qemu-img"))
        .args(["create", "-q", "-f", "luks", "-o", "key-secret=s,iter-time=10", "--object"])
        .arg(format!("secret,id=s,file={}", key.display()))
        .arg(&image)
        .arg("1M")
        .status();
    assert!(made.expect("qemu-img starts").success());
    let disk = serde_json::json!({ "backend": image, "format": "luks", "key_secret": "key" });
    config.disks.push(serde_json::from_value(disk).expect("a disk"));
    config
}

fn with(source: SecretSource) -> LaunchOptions {
    LaunchOptions { secrets: [("key".to_owned(), source)].into(), ..LaunchOptions::default() }
}

#[tokio::test]
async fn a_secret_unlocks_a_disk_and_is_seen_nowhere() {
    let dir = tempfile::tempdir().expect("a directory");
    let in_config = VmConfig { secrets: vec![Secret::new("key", PASSWORD)], ..config(dir.path()) };
    let named: Secret = serde_json::from_value(serde_json::json!({ "id": "key" })).expect("a secret");
    let only_named = VmConfig { secrets: vec![named], ..in_config.clone() };
    let bytes = || PASSWORD.as_bytes().to_vec().into();
    let key = dir.path().join("images").join("key");
    for (config, options) in [
        (&in_config, LaunchOptions::default()),
        (&only_named, with(SecretSource::Value(bytes()))),
        (&only_named, with(SecretSource::File(key))),
        (&only_named, with(SecretSource::Callback(Arc::new(move || Ok(bytes()))))),
    ] {
        assert!(!format!("{config:?} {options:?}").contains("sesame"));
        let vm = Instance::start_with(config, &options).await.expect("unlocked");
        let pid = vm.pid().expect("a process");
        for file in ["cmdline", "environ"] {
            let text = std::fs::read(format!("/proc/{pid}/{file}")).expect("readable");
            assert!(!String::from_utf8_lossy(&text).contains("sesame"), "{file}");
        }
        for name in leftovers(dir.path()) {
            let text = std::fs::read(dir.path().join(&name)).unwrap_or_default();
            assert!(!String::from_utf8_lossy(&text).contains("sesame"), "{name}");
        }
    }
    let wrong = with(SecretSource::Value(b"wrong".to_vec().into()));
    let error = Instance::start_with(&only_named, &wrong).await.expect_err("locked");
    let Error::Launch(failure) = &error else { panic!("{error}") };
    assert_eq!(failure.cause, Cause::WrongSecret, "{error}");
    assert!(!format!("{error} {error:?}").contains("wrong\n"));

    let error = Instance::start(&only_named).await.expect_err("nobody has it");
    assert_eq!(error.to_string(), "cannot read the secret key");
    let absent = with(SecretSource::Variable("QEMUCTL_TEST_NO_SUCH_VARIABLE".into()));
    Instance::start_with(&only_named, &absent).await.expect_err("not set");
    assert_eq!(leftovers(dir.path()), [""; 0]);
}

/// In a process of its own, which has the secret in its environment.
#[test]
fn a_secret_in_the_environment_unlocks_a_disk_and_is_not_inherited() {
    const NAME: &str = "secrets::a_secret_in_the_environment_unlocks_a_disk_and_is_not_inherited";
    const VARIABLE: &str = "QEMUCTL_TEST_KEY";
    if !is_role(NAME) {
        let output = command(NAME).env(VARIABLE, PASSWORD).output().expect("the test program starts");
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stdout));
        return;
    }
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    runtime.block_on(async {
        let dir = tempfile::tempdir().expect("a directory");
        let key: Secret = serde_json::from_value(serde_json::json!({ "id": "key" })).expect("a secret");
        let config = VmConfig { secrets: vec![key], ..config(dir.path()) };
        let options = with(SecretSource::Variable(VARIABLE.into()));
        let vm = Instance::start_with(&config, &options).await.expect("unlocked");
        let pid = vm.pid().expect("a process");
        let environment = std::fs::read(format!("/proc/{pid}/environ")).expect("readable");
        let environment = String::from_utf8_lossy(&environment);
        assert!(environment.contains("PATH=") && !environment.contains("sesame"), "{environment}");
    });
}
