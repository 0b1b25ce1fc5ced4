//! Every row of the README of the Go library `qemuctl`, on a real QEMU: one test each, named after the row.
//!
//! They show that what could be done there can be done here. What a guest sees of it, and what happens when it goes wrong, is
//! tested elsewhere, by topic.

#[cfg(feature = "blocking")]
mod blocking;
mod disks;
mod displays;
mod features;
mod networks;
mod options;
mod places;
mod vm_config;
mod vm_control;

use std::path::Path;

use qemuctl::{
    Instance, LaunchOptions, VmConfig,
    config::{AccelChoice, Arch},
};
use serde_json::{Value, json};

use crate::guest_agent::GENEROUS;
use crate::support::qemu;

/// A machine of a few lines of TOML, for that QEMU. `DIR` in the lines is the test's directory.
pub fn config(version: &str, dir: &Path, lines: &str) -> VmConfig {
    let text = lines.replace("DIR", dir.to_str().expect("UTF-8"));
    let mut config: VmConfig = toml::from_str(&text).expect("a valid configuration");
    let arch = config.arch.unwrap_or(Arch::X86_64);
    config.arch = Some(arch);
    config.qemu.get_or_insert_with(|| qemu(version, &format!("qemu-system-{arch}")));
    config.socket_dir.get_or_insert_with(|| dir.into());
    config.name.get_or_insert_with(|| "row".into());
    config.machine.accel = AccelChoice::Tcg;
    config
}

/// Launches it, frozen before its first instruction.
pub async fn launch(version: &str, dir: &Path, lines: &str) -> Instance {
    let options = LaunchOptions { ready_timeout: GENEROUS, paused: true, ..LaunchOptions::default() };
    let config = config(version, dir, lines);
    // A launch is much to keep on a stack.
    match Box::pin(Instance::start_with(&config, &options)).await {
        Ok(vm) => vm,
        Err(error) => panic!("{version}: {error}"),
    }
}

/// A machine that does not start, and why.
pub async fn refused(version: &str, dir: &Path, lines: &str) -> String {
    let options = LaunchOptions { ready_timeout: GENEROUS, paused: true, ..LaunchOptions::default() };
    let config = config(version, dir, lines);
    let error = Box::pin(Instance::start_with(&config, &options)).await.expect_err("it cannot start");
    error.to_string()
}

pub async fn ask(vm: &Instance, command: &str, arguments: Value) -> Value {
    vm.execute_raw(command, Some(arguments)).await.expect(command)
}

/// A property of an object of QEMU's.
pub async fn property(vm: &Instance, path: &str, name: &str) -> Value {
    ask(vm, "qom-get", json!({ "path": path, "property": name })).await
}

/// What QEMU calls the device with this id.
pub async fn driver(vm: &Instance, id: &str) -> Value {
    property(vm, &format!("/machine/peripheral/{id}"), "type").await
}

/// An image of 1 MiB.
pub fn image(dir: &Path, name: &str) {
    std::fs::write(dir.join(name), vec![0; 1 << 20]).expect("written");
}
