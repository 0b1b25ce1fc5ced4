//! Networks between two guests and to the host: a packet crosses each.

mod inherited;
mod links;
mod passt;
mod user;

use std::path::Path;
use std::time::Duration;

use qemuctl::qmp_client::agent::{Agent, Exec};
use qemuctl::{
    Instance, LaunchOptions, VmConfig,
    config::{AccelChoice, Arch, Boot, MacAddress, Machine, Memory, NetBackend, Network, Size},
};

use crate::servers::run;
use crate::support::{guest_file, qemu};

/// Longer than two guests need to boot, and to find each other, on a loaded machine.
const GENEROUS: Duration = Duration::from_secs(240);

/// A guest without interfaces.
fn linux(version: &str, dir: &Path, name: &str) -> VmConfig {
    VmConfig {
        name: Some(name.into()),
        qemu: Some(qemu(version, "qemu-system-x86_64")),
        socket_dir: Some(dir.into()),
        arch: Some(Arch::X86_64),
        machine: Machine { accel: AccelChoice::Tcg, ..Machine::default() },
        memory: Memory::new(Size::mib(256)),
        boot: Boot {
            kernel: Some(guest_file("x86_64", "vmlinuz")),
            initrd: Some(guest_file("x86_64", "initramfs")),
            append: Some("console=ttyS0".into()),
            ..Boot::default()
        },
        ..VmConfig::default()
    }
    .with_guest_agent()
}

/// An interface that the guest knows by its address.
fn interface(mac: MacAddress, backend: NetBackend) -> Network {
    Network { mac: Some(mac), ..Network::new(backend) }
}

async fn start(config: &VmConfig, options: &LaunchOptions) -> Instance {
    let name = config.name.as_deref().unwrap_or_default();
    Instance::start_with(config, options).await.unwrap_or_else(|error| panic!("{name}: {error}"))
}

/// Runs a script in the guest and returns what it printed.
async fn sh(agent: &Agent, script: &str) -> String {
    let output = agent.exec(&Exec::with_args("/bin/sh", ["-c", script]), GENEROUS).await.expect("executed");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert_eq!(output.code, Some(0), "{script}: {errors}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// Runs `ip` in the namespace of the test.
fn ip(words: &str) {
    run(std::process::Command::new(crate::servers::program("ip")).args(words.split(' ')));
}
