//! `cargo xtask demo`: a Linux guest, started, asked, photographed and shut down by the library.
//!
//! Here is the set-up alone. What is shown is `qemuctl/examples/demo.rs`, a program like one a
//! user would write.

use std::path::PathBuf;
use std::thread;
use std::time::Instant;

use anyhow::{Context, Result, anyhow};

use crate::run::{self, cargo};
use crate::{guest, places, qemus, system};

/// Boot a Linux guest through the library, look at it, shut it down
#[derive(clap::Args)]
pub struct Args {
    /// The QEMU to use; left out: the one in PATH, else QEMU 10.0, which is set up for it
    #[arg(long)]
    qemu: Option<PathBuf>,
}

const PROGRAM: &str = "qemu-system-x86_64";
const EXAMPLE: [&str; 4] = ["--package", "qemuctl", "--example", "demo"];

pub fn run(args: &Args) -> Result<()> {
    let began = Instant::now();
    system::ensure()?;
    // Compiling and fetching do not wait for each other.
    let (qemu, built) = thread::scope(|scope| {
        let build = scope.spawn(|| run::run(cargo(["build", "--quiet"]).args(EXAMPLE)));
        let qemu = prepare(args);
        (qemu, build.join().unwrap_or_else(|_| Err(anyhow!("the build panicked"))))
    });
    let (qemu, guest) = qemu?;
    built.context("the demo does not compile")?;
    eprintln!("set up in {:.1?}", began.elapsed());
    let pictures = places::cache()?.join("demo");
    std::fs::create_dir_all(&pictures).with_context(|| format!("cannot create {}", pictures.display()))?;
    let mut demo = cargo(["run", "--quiet"]);
    demo.args(EXAMPLE).arg("--").arg(qemu).arg(guest).arg(pictures.join("screen.png"));
    run::run(&mut demo)
}

/// The QEMU and the directory of the guest, made if they are not there.
fn prepare(args: &Args) -> Result<(PathBuf, PathBuf)> {
    let wanted =
        guest::GUESTS.iter().find(|guest| guest.name == "x86_64").context("the guest x86_64 is gone")?;
    let qemu = if let Some(qemu) = args.qemu.clone().or_else(|| system::find(PROGRAM)) {
        qemu
    } else {
        qemus::ensure(&["10.0".to_owned()])?;
        places::qemus()?.join("10.0/bin").join(PROGRAM)
    };
    guest::ensure(wanted)?;
    Ok((qemu, places::guests()?.join(wanted.name)))
}
