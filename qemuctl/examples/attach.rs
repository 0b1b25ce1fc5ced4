//! Attaches to every VM of this user, and tells what it is, what it does, and how to get in.
//!
//! `attach`: VMs that this library or the program `qemuctl` has started. A VM that does not answer is told as such and
//! does not hold up the others for long.

use std::error::Error;
use std::path::Path;

use qemuctl::Instance;
use qemuctl::runtime::{self, Record};

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    for line in overview(&runtime::default_socket_dir()?).await? {
        println!("{line}");
    }
    Ok(())
}

/// A line for each VM whose sockets are in `dir`.
///
/// # Errors
///
/// If the directory cannot be read or is not private.
pub async fn overview(dir: &Path) -> Result<Vec<String>, qemuctl::Error> {
    let mut lines = Vec::new();
    for record in Record::all(dir)?.into_iter().filter(Record::is_alive) {
        lines.push(match Instance::attach_name_in(dir, &record.name).await {
            Ok(vm) => tell(&vm).await,
            Err(error) => format!("{}: {error}", record.name),
        });
    }
    Ok(lines)
}

async fn tell(vm: &Instance) -> String {
    let ports = vm.forwarded_ports().await.unwrap_or_default();
    let ports: Vec<_> = ports.iter().map(|port| format!(", {} leads to {}", port.host, port.guest)).collect();
    format!("{} is {}{}", vm.name(), vm.state(), ports.concat())
}
