//! Adds a disk to a running VM, limits its speed, and removes it again.
//!
//! `hotplug NAME IMAGE`: a running VM of this user's, and an image in the raw format. The guest has to take part in the
//! removal; one that does not within a minute keeps the disk.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use qemuctl::Instance;
use qemuctl::config::{BlockFormat, Disk};
use qemuctl::control::IoLimits;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn Error>> {
    let [name, image] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: hotplug NAME IMAGE".into());
    };
    let vm = Instance::attach_name(name).await?;
    add_and_remove(&vm, Path::new(image), |line| println!("{line}")).await?;
    Ok(())
}

/// Each step says what it did.
///
/// # Errors
///
/// If QEMU refuses a step, or the guest does not release the disk.
pub async fn add_and_remove(
    vm: &Instance,
    image: &Path,
    mut tell: impl FnMut(String),
) -> Result<(), qemuctl::Error> {
    let disk = Disk { format: Some(BlockFormat::Raw), ..Disk::file(image) };
    let id = vm.plug(&disk).await?;
    tell(format!("added {id}"));

    vm.set_io_limits(&id, IoLimits { requests_total: 500, ..IoLimits::default() }).await?;
    tell(format!("{id} does at most 500 operations a second"));

    vm.unplug(&id, Duration::from_secs(60)).await?;
    tell(format!("removed {id}"));
    Ok(())
}
