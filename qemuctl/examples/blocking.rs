//! A VM from start to end without async code: states by callback, the console, the agent, a disk that is plugged in,
//! a screenshot, what it used.
//!
//! `blocking CONFIG DISK PICTURE`: a machine with a guest agent, a display and a shell on its serial console; an image in
//! the raw format; where to put the screenshot.

use std::error::Error;
use std::path::Path;
use std::time::Duration;

use qemuctl::blocking::Instance;
use qemuctl::{
    Exec, StopOutcome, VmConfig,
    config::{BlockFormat, Disk},
};

/// How long a guest may take to boot and to shut down on a busy host without KVM.
const PATIENCE: Duration = Duration::from_secs(300);

fn main() -> Result<(), Box<dyn Error>> {
    let [config, disk, picture] = &std::env::args().skip(1).collect::<Vec<_>>()[..] else {
        return Err("usage: blocking CONFIG DISK PICTURE".into());
    };
    let config = qemuctl::config::load(config)?.with_guest_agent();
    let outcome = tour(&config, Path::new(disk), Path::new(picture), |line| println!("{line}"))?;
    println!("{outcome}");
    Ok(())
}

/// Each step says what it found.
///
/// # Errors
///
/// Whatever went wrong on the way.
pub fn tour(
    config: &VmConfig,
    disk: &Path,
    picture: &Path,
    mut tell: impl FnMut(String),
) -> Result<StopOutcome, Box<dyn Error>> {
    let vm = Instance::start(config)?;
    // Called on a thread of its own, until it is dropped.
    let _states = vm.on_state(|state| eprintln!("now {state}"))?;

    let agent = vm.wait_agent(PATIENCE)?;
    let uname = agent.exec(&Exec::with_args("uname", ["-s"]), PATIENCE)?;
    tell(format!("the guest is {}", String::from_utf8_lossy(&uname.stdout).trim_end()));

    let console = vm.console()?;
    let mut output = console.reader();
    console.write_all(b"echo $((6 * 7)) is the answer\n")?;
    let found = output.expect("([0-9]+) is the answer", PATIENCE)?;
    tell(format!("the console says {}", found.groups[1]));

    let new = Disk { format: Some(BlockFormat::Raw), ..Disk::file(disk) };
    let id = vm.plug(&new)?;
    tell(format!("{id} is plugged in"));

    vm.screenshot_to(picture)?;
    tell(format!("the screen is in {}", picture.display()));

    let stats = vm.stats()?;
    let used = stats.process.map(|process| process.user + process.system).unwrap_or_default();
    eprintln!("{used:.1?} of processor time for {} drives", stats.disks.len());
    Ok(vm.stop(PATIENCE)?)
}
