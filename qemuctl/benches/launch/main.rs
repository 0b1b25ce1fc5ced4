//! What a launch costs beside the least it could cost, and what a VM costs while it is watched.
//!
//! Every goal is a ratio of two things measured in turn in the same run, or a count. Run it by
//! `cargo xtask bench launch`.

mod bare;
mod crowd;
mod goals;
mod idle;
mod single;

use std::path::PathBuf;
use std::process::ExitCode;

use qemuctl::{
    VmConfig,
    config::{AccelChoice, Machine},
};

use goals::Goals;

/// What is measured with.
struct Bench {
    qemu: PathBuf,
    /// Where the VMs have their sockets.
    dir: tempfile::TempDir,
    rounds: usize,
}

impl Bench {
    /// A VM without a board, so that nothing but the launch itself takes time.
    fn config(&self, name: &str) -> VmConfig {
        VmConfig {
            name: Some(name.to_owned()),
            qemu: Some(self.qemu.clone()),
            socket_dir: Some(self.dir.path().to_owned()),
            machine: Machine { kind: Some("none".into()), accel: AccelChoice::Tcg, ..Machine::default() },
            ..VmConfig::default()
        }
    }
}

type Failure = Box<dyn std::error::Error>;

fn main() -> ExitCode {
    match run() {
        Ok(true) => ExitCode::SUCCESS,
        Ok(false) => ExitCode::FAILURE,
        Err(error) => {
            eprintln!("error: {error}");
            ExitCode::FAILURE
        }
    }
}

/// Whether all goals are met.
fn run() -> Result<bool, Failure> {
    // `cargo bench` adds `--bench`.
    let mut words = std::env::args().skip(1).filter(|word| word != "--bench");
    let qemu = words.next().unwrap_or_else(|| "/usr/bin/qemu-system-x86_64".to_owned());
    let rounds = words.next().map_or(Ok(20), |word| word.parse())?;
    let bench = Bench { qemu: qemu.into(), dir: tempfile::tempdir()?, rounds };
    println!("{}, {rounds} rounds, medians", bench.qemu.display());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let mut goals = Goals::default();
    single::run(&bench, &runtime, &mut goals)?;
    crowd::run(&bench, &runtime, &mut goals)?;
    idle::run(&bench, &runtime, &mut goals)?;
    Ok(goals.are_met())
}
